"""``ssft-rematerialize``: recompute element-wise values where the backward pass needs them.

Merging common subexpressions makes the forward pass share what the backward pass recomputes (the
sigmoid of SiLU, the comparison of labels), and so keeps it alive. A value whose element-wise
inputs are saved anyway, or are smaller than it, is computed again where the backward pass needs it.
So a value of a half-precision model that was widened to compute with it is kept in half precision.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce
from typing import ClassVar

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.elementwise import is_parallel
from ssft.compiler.analysis.liveness import VIEWS, bytes_of, saved_activations, storage
from ssft.compiler.analysis.phases import RECOMPUTED, forward_operations, used_values
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir

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
    search = _Search(value, kept, limit)
    sources = search.sources(value)
    operations = search.operations()
    pays = search.cost(sources) < bytes_of(value) and len(operations) <= limit
    return _Recomputation(value, operations, set(sources - kept)) if pays else None


@dataclass
class _Search:
    """The fewest bytes to keep from which `value` can be computed by cheap operations.

    An operand is computed again, too, unless that takes more than keeping it: a value that was
    widened is kept as it was before.
    """

    value: ir.Value
    kept: set[ir.Value]
    limit: int
    found: dict[ir.Value, frozenset[ir.Value]] = field(default_factory=dict)

    def sources(self, current: ir.Value, depth: int = 0) -> frozenset[ir.Value]:
        """Returns the storages from which to compute `current`: itself, if that is best."""
        if current in self.found:
            return self.found[current]
        producer = step_ir.owner(current)
        if producer is None or producer.name in _ALWAYS_THERE:
            return frozenset()
        # More operations than the limit are never recomputed, so none lies deeper.
        itself = frozenset([storage(current)])
        if producer.name in VIEWS:
            best = self.sources(producer.operands[0], depth)
        elif current != self.value and (
            current in self.kept or not _is_cheap(producer) or depth >= self.limit
        ):
            best = itself
        else:
            operands = used_values(producer)
            best = frozenset().union(*(self.sources(operand, depth + 1) for operand in operands))
            if current != self.value and self.cost(itself) <= self.cost(best):
                best = itself
        self.found[current] = best
        return best

    def cost(self, sources: frozenset[ir.Value]) -> int:
        """Returns the bytes of those that are not kept anyway."""
        return sum(bytes_of(source) for source in sources - self.kept)

    def operations(self) -> list[ir.Operation]:
        """Returns what computes `value` from its sources, in order."""
        found: dict[ir.Operation, None] = {}

        def visit(current: ir.Value) -> None:
            producer = step_ir.owner(current)
            stop = current not in self.found or self.found[current] == {current}
            if producer is None or producer in found or stop:
                return
            for operand in used_values(producer):
                visit(operand)
            found[producer] = None

        visit(self.value)
        return list(found)


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
