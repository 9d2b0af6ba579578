"""Reading and editing the signature of ``@step`` (docs/architecture.md, "The step function")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ssft.compiler import plan_schema
from ssft.compiler.diagnostics import UserError
from ssft.dialects._mlir import ir

OUTLINED = "ssft.outlined"
"""Unit attribute of functions that hold what ``@step`` repeats (`ssft.compiler.outlining`)."""


def find_step(module: ir.Operation) -> ir.Operation:
    """Returns the ``func.func @step`` of `module`, which must be flat.

    Raises:
        UserError: the module has none, it is no straight-line code, or parts of it are outlined.
    """
    step = plan_schema.find_step(module)
    blocks = len(step.regions[0].blocks)
    if blocks != 1:
        raise UserError(
            f"function '@step' has {blocks} blocks",
            notes=["a step has a body, and the body is straight-line code: one block"],
        )
    check_flat(module)
    return step


def check_flat(module: ir.Operation) -> None:
    """Raises a `UserError` if parts of ``@step`` are outlined from it."""
    if any(OUTLINED in op.attributes for op in module.regions[0].blocks[0].operations):
        raise UserError(
            "function '@step' calls functions that were outlined from it",
            notes=["run ssft-inline-layers before"],
        )


def body(step: ir.Operation) -> ir.Block:
    """Returns the single block of `step`."""
    return step.regions[0].blocks[0]


def operations(step: ir.Operation) -> Iterator[ir.Operation]:
    """Iterates over the operations of the step's block (not into nested regions)."""
    for op in body(step).operations:
        yield op.operation


def terminator(step: ir.Operation) -> ir.Operation:
    """Returns the ``func.return``."""
    # Numbers of operations in a block are counted from its start, every time.
    end = ir.InsertionPoint.at_block_terminator(body(step)).ref_operation
    assert end is not None
    return end.operation


def owner(value: ir.Value) -> ir.Operation | None:
    """Returns the operation that defines `value`, or None for a block argument."""
    producer = value.owner
    return None if isinstance(producer, ir.Block) else producer.operation


def shape_of(value: ir.Value) -> list[int] | None:
    """Returns the static shape of a ranked tensor value, or None for any other type."""
    if not isinstance(value.type, ir.RankedTensorType):
        return None
    return list(ir.RankedTensorType(value.type).shape)


def _attribute_lists(step: ir.Operation, key: str, count: int) -> list[dict[str, ir.Attribute]]:
    if key not in step.attributes:
        return [{} for _ in range(count)]
    return [
        {entry.name: entry.attr for entry in ir.DictAttr(attributes)}
        for attributes in ir.ArrayAttr(step.attributes[key])
    ]


def argument_attributes(step: ir.Operation) -> list[dict[str, ir.Attribute]]:
    """Returns one mapping of attributes per argument."""
    return _attribute_lists(step, "arg_attrs", len(body(step).arguments))


def result_attributes(step: ir.Operation) -> list[dict[str, ir.Attribute]]:
    """Returns one mapping of attributes per result."""
    return _attribute_lists(step, "res_attrs", len(terminator(step).operands))


def set_signature(
    step: ir.Operation,
    arguments: Sequence[Mapping[str, ir.Attribute]],
    results: Sequence[Mapping[str, ir.Attribute]],
) -> None:
    """Makes type and attributes of `step` agree with its block, terminator and the mappings."""
    types = ir.FunctionType.get(
        [argument.type for argument in body(step).arguments],
        [operand.type for operand in terminator(step).operands],
    )
    step.attributes["function_type"] = ir.TypeAttr.get(types)
    step.attributes["arg_attrs"] = ir.ArrayAttr.get([ir.DictAttr.get(dict(a)) for a in arguments])
    step.attributes["res_attrs"] = ir.ArrayAttr.get([ir.DictAttr.get(dict(r)) for r in results])


def text(attributes: Mapping[str, ir.Attribute], key: str) -> str | None:
    """Returns a string attribute's value, or None where it is absent."""
    return ir.StringAttr(attributes[key]).value if key in attributes else None


def updated_argument(attributes: Mapping[str, ir.Attribute]) -> int | None:
    """Returns the argument number in ``ssft.updates_arg``, or None where it is absent."""
    key = "ssft.updates_arg"
    return ir.IntegerAttr(attributes[key]).value if key in attributes else None


def index_list(values: Iterable[int]) -> ir.Attribute:
    """Returns ``array<i64: …>``."""
    return ir.DenseI64ArrayAttr.get([int(value) for value in values])


def i64(value: int) -> ir.IntegerAttr:
    """Returns ``value : i64``."""
    return ir.IntegerAttr.get(ir.IntegerType.get_signless(64), value)
