"""Which operations of a step are its forward pass."""

from __future__ import annotations

from collections.abc import Iterator

from ssft.compiler.analysis import step as step_ir
from ssft.dialects._mlir import ir

RECOMPUTED = "ssft.recomputed"
"""Attribute of operations of the backward pass that do again what the forward pass did.

Its value is ``"checkpoint"`` on copies that ``ssft-checkpoint`` makes, of products, too; it is a
unit attribute on those of ``ssft-rematerialize``, which cost next to nothing.
"""


def ancestors(roots: list[ir.Value]) -> set[ir.Operation]:
    """Returns every operation of the step's block that `roots` depend on.

    Values captured by nested regions count as operands. The handles are valid until the IR changes.
    """
    found: set[ir.Operation] = set()
    pending = list(roots)
    while pending:
        producer = step_ir.owner(pending.pop())
        if producer is None or producer in found:
            continue
        found.add(producer)
        pending.extend(used_values(producer))
    return found


def used_values(op: ir.Operation) -> list[ir.Value]:
    """Returns the operands of `op` and the values that its regions capture from outside."""
    return [value for _, _, value in outer_uses(op)]


def outer_uses(op: ir.Operation) -> Iterator[tuple[ir.Operation, int, ir.Value]]:
    """Yields (operation, operand number, value) for all that `op` and its regions read outside."""
    yield from ((op, number, value) for number, value in enumerate(op.operands))
    inside: set[ir.Value] = set()
    for region in op.regions:
        for inner in _walk(region):
            if isinstance(inner, ir.Block):
                inside.update(inner.arguments)
                continue
            for number, value in enumerate(inner.operands):
                if value not in inside:
                    yield inner, number, value
            inside.update(inner.results)


def _walk(region: ir.Region) -> Iterator[ir.Block | ir.Operation]:
    for block in region.blocks:
        yield block
        for op in block.operations:
            yield op.operation
            for inner in op.operation.regions:
                yield from _walk(inner)


def forward_operations(step: ir.Operation) -> set[ir.Operation]:
    """Returns the operations that run before the backward pass begins.

    The order of the block is the order of execution; the forward pass ends with the last operation
    that a result with role ``loss`` or ``metric`` depends on. What stands before it belongs to the
    forward pass even if only the backward pass reads it, such as a saved slice of an activation.
    """
    needed = ancestors(loss_values(step))
    everything = list(step_ir.operations(step))
    last = max((i for i, op in enumerate(everything) if op in needed), default=-1)
    return set(everything[: last + 1])


def loss_values(step: ir.Operation) -> list[ir.Value]:
    """Returns what the step returns with role ``loss`` or ``metric``."""
    operands = step_ir.terminator(step).operands
    return [
        operands[number]
        for number, attributes in enumerate(step_ir.result_attributes(step))
        if step_ir.text(attributes, "ssft.role") in ("loss", "metric")
    ]


def is_checkpointed(op: ir.Operation) -> bool:
    """Whether `op` does work of the forward pass again because its result was not kept."""
    return RECOMPUTED in op.attributes and isinstance(op.attributes[RECOMPUTED], ir.StringAttr)
