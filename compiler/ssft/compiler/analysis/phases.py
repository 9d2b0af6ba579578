"""Which operations of a step are its forward pass."""

from __future__ import annotations

from ssft.compiler.analysis import step as step_ir
from ssft.dialects._mlir import ir


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
    values = list(op.operands)
    used: list[ir.Value] = []
    inside: set[ir.Value] = set()
    pending = list(op.regions)
    while pending:
        for block in pending.pop():
            inside.update(block.arguments)
            for inner in block.operations:
                inner = inner.operation
                used += inner.operands
                inside.update(inner.results)
                pending += inner.regions
    return values + [value for value in used if value not in inside]


def forward_operations(step: ir.Operation) -> set[ir.Operation]:
    """Returns the operations that run before the backward pass begins.

    The order of the block is the order of execution; the forward pass ends with the last operation
    that a result with role ``loss`` or ``metric`` depends on. What stands before it belongs to the
    forward pass even if only the backward pass reads it, such as a saved slice of an activation.
    """
    operands = step_ir.terminator(step).operands
    roots = [
        operands[number]
        for number, attributes in enumerate(step_ir.result_attributes(step))
        if step_ir.text(attributes, "ssft.role") in ("loss", "metric")
    ]
    needed = ancestors(roots)
    everything = list(step_ir.operations(step))
    last = max((i for i, op in enumerate(everything) if op in needed), default=-1)
    return set(everything[: last + 1])
