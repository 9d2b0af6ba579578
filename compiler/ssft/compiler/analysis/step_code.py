"""``@step`` as a sequence of keys and positions, in which repetitions can be looked for."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from ssft.compiler.analysis.phases import outer_uses
from ssft.compiler.analysis.step import (
    argument_attributes,
    body,
    operations,
    result_attributes,
    terminator,
    updated_argument,
)
from ssft.compiler.repeats import Sequence, SequenceBuilder
from ssft.dialects._mlir import ir

Attributes = dict[str, ir.Attribute]

_PRINTED_REGIONS = frozenset({"linalg.generic", "linalg.map", "linalg.reduce"})
"""Of ``linalg``."""


@dataclass
class StepCode:
    """``@step`` as a sequence: its arguments, its operations, and what it returns.

    `operands` are for each item the values that it reads, as (position, result number).
    """

    step: ir.Operation
    arguments: list[Attributes]
    results: list[Attributes]
    operations: list[ir.Operation]
    operands: list[list[tuple[int, int]]]
    sequence: Sequence

    @classmethod
    def of(cls, step: ir.Operation, builder: SequenceBuilder, *, calls: bool = False) -> StepCode:
        """Reads `step`.

        With `calls`, keys are of what could be calls of one function: they tell different source
        locations apart, and leave out attributes in the name space ``ssft``.
        """
        arguments, results = argument_attributes(step), result_attributes(step)
        code = cls(step, arguments, results, [], [], Sequence((), ()))
        place: dict[ir.Value, tuple[int, int]] = {}
        block = body(step)
        for argument, attributes in zip(block.arguments, arguments, strict=True):
            place[argument] = (builder.append(_argument_key(argument, attributes)), 0)
            code.operands.append([])
        for op in operations(step):
            if op.name == "func.return":
                break
            reads = [place[value] for value in read_values(op)]
            own = _operation_key(op, {}, calls, "ssft." if calls else None)
            key = (own, tuple(number for _, number in reads))
            position = builder.append(key, [position for position, _ in reads])
            place |= {result: (position, i) for i, result in enumerate(op.results)}
            code.operations.append(op)
            code.operands.append(reads)
        for value, attributes in zip(terminator(step).operands, results, strict=True):
            reads = [place[value]]
            updated = updated_argument(attributes)
            if updated is not None:
                reads.append((updated, 0))
            builder.append(_result_key(value, attributes, reads[0][1]), [p for p, _ in reads])
            code.operands.append(reads)
        code.sequence = builder.finish()
        return code


def prints_regions(op: ir.Operation) -> bool:
    """Whether the text of `op` holds its regions; else they follow from its name."""
    return not op.name.startswith("linalg.") or op.name in _PRINTED_REGIONS


def read_values(op: ir.Operation) -> list[ir.Value]:
    """Returns the operands of `op` and what its regions read from outside of it, in order."""
    return [value for _, _, value in outer_uses(op)]


def _operation_key(
    op: ir.Operation, local: dict[ir.Value, int], located: bool, left_out: str | None = None
) -> tuple[Hashable, ...]:
    """Returns all of an operation but the outer values that it reads.

    `local` numbers the values of the regions that hold the operation; `left_out` is the prefix of
    the attributes that do not count.
    """
    regions = []
    shown = located and prints_regions(op)
    for region in op.regions:
        for block in region.blocks:
            for argument in block.arguments:
                local[argument] = len(local)
            inner = tuple(_operation_key(each.operation, local, shown) for each in block.operations)
            types = tuple(argument.type for argument in block.arguments)
            where = tuple(a.location.attr for a in block.arguments) if shown else ()
            regions.append((types, inner, where))
    operands = tuple(local.get(value, -1) for value in op.operands)
    for result in op.results:
        local[result] = len(local)
    attributes = tuple(op.attributes.items())
    if left_out is not None:
        attributes = tuple(item for item in attributes if not item[0].startswith(left_out))
    types = tuple(result.type for result in op.results)
    where = op.location.attr if located else None
    return (op.name, attributes, types, operands, tuple(regions), where)


def _argument_key(argument: ir.Value, attributes: Attributes) -> tuple[Any, ...]:
    kept = sorted((key, str(value)) for key, value in attributes.items() if key != "ssft.name")
    return ("argument", str(argument.type), tuple(kept))


def _result_key(value: ir.Value, attributes: Attributes, number: int) -> tuple[Any, ...]:
    kept = sorted(
        (key, str(attribute))
        for key, attribute in attributes.items()
        if key not in ("ssft.name", "ssft.updates_arg")
    )
    return ("result", str(value.type), tuple(kept), number)
