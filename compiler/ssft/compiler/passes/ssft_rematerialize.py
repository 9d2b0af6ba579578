"""``ssft-rematerialize``: recompute element-wise values where the backward pass needs them.

Merging common subexpressions makes the forward pass share what the backward pass recomputes (the
sigmoid of SiLU, the comparison of labels), and so keeps it alive. A value whose element-wise
inputs are saved anyway, or are smaller than it, is computed again where the backward pass needs it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce
from typing import ClassVar

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.elementwise import is_parallel
from ssft.compiler.analysis.liveness import VIEWS, bytes_of, saved_activations, storage
from ssft.compiler.analysis.phases import forward_operations, used_values
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir

RECOMPUTED = "ssft.recomputed"
"""Unit attribute of recomputing operations: keeps ``cse`` from merging them with the originals."""

_ALWAYS_THERE = frozenset({"arith.constant", "tensor.empty", "linalg.fill", "tensor.extract"})


@dataclass(frozen=True)
class RematerializePass(Pass):
    """Shrinks what the forward pass saves, greedily, the largest value first.

    Recomputed operations carry ``ssft.recomputed``. Only all-parallel ``linalg.generic`` operations
    and views are ever recomputed, never contractions or reductions.
    """

    argument: ClassVar[str] = "ssft-rematerialize"

    limit: int = field(
        default=16, metadata={"help": "most operations to recompute for one saved value"}
    )

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites ``@step``."""
        step = step_ir.find_step(module)
        with module.context, step.location:
            forward = forward_operations(step)
            saved = saved_activations(step, forward)
            kept = set(saved)
            plan: list[_Recomputation] = []
            for value in sorted(saved, key=bytes_of, reverse=True):
                recomputation = _plan(value, kept - {value}, self.limit)
                if recomputation is None:
                    continue
                kept.remove(value)
                kept |= recomputation.sources
                plan.append(recomputation)
                context.statistics["bytes recomputed"] += bytes_of(value)
            _apply(step, forward, plan)
            context.statistics["values recomputed"] += len(plan)


@dataclass
class _Recomputation:
    """How to compute `value` again: `operations` in order, from `sources` that must be saved."""

    value: ir.Value
    operations: list[ir.Operation] = field(default_factory=list)
    sources: set[ir.Value] = field(default_factory=set)


def _plan(value: ir.Value, kept: set[ir.Value], limit: int) -> _Recomputation | None:
    """Returns how to recompute `value`, or None if it cannot be or does not pay."""
    if not _is_cheap(step_ir.owner(value)):
        return None
    found = _Recomputation(value)
    seen: set[ir.Operation] = set()

    def visit(current: ir.Value) -> None:
        producer = step_ir.owner(current)
        if producer is None or producer in seen or producer.name in _ALWAYS_THERE:
            return
        if current != value and storage(current) in kept:
            if producer.name not in VIEWS:
                return
        elif not _is_cheap(producer):
            found.sources.add(storage(current))
            return
        seen.add(producer)
        for operand in used_values(producer):
            visit(operand)
        found.operations.append(producer)

    visit(value)
    cost = sum(bytes_of(source) for source in found.sources)
    return found if cost < bytes_of(value) and len(found.operations) <= limit else None


def _is_cheap(producer: ir.Operation | None) -> bool:
    if producer is None:
        return False
    if producer.name == "linalg.generic":
        return len(producer.results) == 1 and is_parallel(producer)
    return producer.name in VIEWS


def _apply(step: ir.Operation, forward: set[ir.Operation], plan: Iterable[_Recomputation]) -> None:
    """Clones each recomputation before the first operation of the backward pass that reads it."""
    for recomputation in plan:
        uses = _backward_uses(recomputation.value, forward)
        if not uses:
            continue
        first = reduce(_earlier, (_in_block(user, step) for user, _ in uses))
        copies: dict[ir.Value, ir.Value] = {}
        with ir.InsertionPoint(first):
            for op in recomputation.operations:
                copy = op.clone()
                copy.attributes[RECOMPUTED] = ir.UnitAttr.get()
                for number, operand in enumerate(op.operands):
                    if operand in copies:
                        copy.operands[number] = copies[operand]
                copies.update(zip(op.results, copy.results, strict=True))
        for user, number in uses:
            value = user.operands[number]
            user.operands[number] = _through_views(value, recomputation.value, copies, first)


def _backward_uses(value: ir.Value, forward: set[ir.Operation]) -> list[tuple[ir.Operation, int]]:
    """Returns the backward uses of `value` and of its views in the forward pass."""
    found = []
    for use in value.uses:
        op = use.owner.operation
        if op not in forward:
            found.append((op, use.operand_number))
        elif op.name in VIEWS and use.operand_number == 0:
            found += _backward_uses(op.results[0], forward)
    return found


def _in_block(op: ir.Operation, step: ir.Operation) -> ir.Operation:
    """Returns the operation of the step's block that holds `op`."""
    parent = op.parent
    while parent is not None and parent.operation != step:
        op = parent.operation
        parent = op.parent
    return op


def _earlier(a: ir.Operation, b: ir.Operation) -> ir.Operation:
    return a if a == b or a.is_before_in_block(b) else b


def _through_views(
    value: ir.Value, root: ir.Value, copies: dict[ir.Value, ir.Value], first: ir.Operation
) -> ir.Value:
    """Returns the copy of `value`, a chain of views of `root`, made from the copy of `root`."""
    if value in copies:
        return copies[value]
    producer = step_ir.owner(value)
    assert producer is not None and value != root
    source = _through_views(producer.operands[0], root, copies, first)
    with ir.InsertionPoint(first):
        copy = producer.clone()
    copy.attributes[RECOMPUTED] = ir.UnitAttr.get()
    copy.operands[0] = source
    copies[value] = copy.results[0]
    return copies[value]
