"""Rebuilds ``@step`` with other arguments and results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ssft.compiler.analysis import step as step_ir
from ssft.dialects._mlir import ir


@dataclass
class Argument:
    """An argument of the new signature: its present value in the block, and its attributes."""

    value: ir.Value
    attributes: dict[str, ir.Attribute]


@dataclass
class Result:
    """A result of the new signature; `updates` is the present block argument that it updates."""

    value: ir.Value
    attributes: dict[str, ir.Attribute]
    updates: ir.Value | None = None


def rebuild(step: ir.Operation, arguments: Sequence[Argument], results: Sequence[Result]) -> None:
    """Replaces the function `step` by one with the given arguments and results, in this order.

    Values of `arguments` are block arguments of the present function; those that are not listed
    must have no uses left. All handles into the old function die.
    """
    old = step_ir.body(step)
    types = ir.FunctionType.get([a.value.type for a in arguments], [r.value.type for r in results])
    numbers = {argument.value: number for number, argument in enumerate(arguments)}
    result_attributes = [_renumbered(result, numbers) for result in results]
    attributes = {entry: step.attributes[entry] for entry in step.attributes}
    attributes |= {
        "function_type": ir.TypeAttr.get(types),
        "arg_attrs": ir.ArrayAttr.get([ir.DictAttr.get(a.attributes) for a in arguments]),
        "res_attrs": ir.ArrayAttr.get([ir.DictAttr.get(a) for a in result_attributes]),
    }
    with step.location, ir.InsertionPoint(step):
        new = ir.Operation.create("func.func", attributes=attributes, regions=1)
    block = new.regions[0].blocks.append(
        *[argument.value.type for argument in arguments],
        arg_locs=[argument.value.location for argument in arguments],
    )
    terminator = step_ir.terminator(step)
    with terminator.location, ir.InsertionPoint(terminator):
        ir.Operation.create("func.return", operands=[result.value for result in results])
    terminator.erase()
    for argument, replacement in zip(arguments, block.arguments, strict=True):
        argument.value.replace_all_uses_with(replacement)
    for op in list(old.operations):
        block.append(op)
    step.erase()


def _renumbered(result: Result, numbers: Mapping[ir.Value, int]) -> dict[str, ir.Attribute]:
    attributes = {
        key: value for key, value in result.attributes.items() if key != "ssft.updates_arg"
    }
    if result.updates is not None:
        attributes["ssft.updates_arg"] = step_ir.i64(numbers[result.updates])
    return attributes
