"""``cpu-recompute-products``: make large arrays again that a small product and its rows make.

The probabilities of an attention layer are saved for the backward pass, and are far larger than the
queries and keys that they are computed from. Computed again, block by block, they are never in
memory (``cpu-fuse-rows``), and what a mask leaves out need not be computed at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from ssft.compiler.analysis.contractions import as_contraction
from ssft.compiler.analysis.flow import Flow
from ssft.compiler.analysis.liveness import bytes_of
from ssft.compiler.analysis.step import find_step, operations
from ssft.compiler.checkpointing import Recomputation
from ssft.compiler.passes._recompute import Recompute
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir

EXPANSION = 4
"""How many times the bytes of its operands the result of such a product has."""

ROW = 64
"""An array that many times smaller is taken for one number for each row."""


@dataclass(frozen=True)
class CpuRecomputeProductsPass(Pass):
    """Recomputes saved arrays from the operands of the products that they come from."""

    argument: ClassVar[str] = "cpu-recompute-products"

    least: int = field(default=4 << 20, metadata={"help": "bytes of an array (0: recompute none)"})
    flops: int = field(
        default=128, metadata={"help": "most operations of products per byte that is not saved"}
    )

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites ``@step``, before anything is lowered."""
        step = find_step(module)
        if not self.least:
            return
        flow = Flow.of(step)
        expanding = frozenset(n for n, op in enumerate(operations(step)) if _expands(op))
        again: set[int] = set()
        for saved in flow.saved():
            if flow.sizes[saved] < self.least:
                continue
            found = _from_products(flow, saved, expanding)
            flops = sum(flow.ops[number].products for number in found - again)
            if found and flops <= self.flops * flow.sizes[saved]:
                again |= found
                context.statistics["arrays recomputed"] += 1
                context.statistics["bytes recomputed"] += flow.sizes[saved]
        if again:
            with module.context, step.location:
                Recompute(step, Recomputation(flow, frozenset(again))).run()


def _expands(op: ir.Operation) -> bool:
    """Whether `op` is a product that makes much more than it reads."""
    if as_contraction(op) is None:
        return False
    read = sum(map(bytes_of, list(op.operands)[:2]))
    made = sum(map(bytes_of, op.results))
    return read * EXPANSION <= made


def _from_products(flow: Flow, saved: int, expanding: frozenset[int]) -> set[int]:
    """The operations from `expanding` ones on that make the storage `saved`; empty if none do."""
    inside: dict[int, bool] = {}

    def visit(number: int) -> bool:
        """Whether operation `number` is such a product, or computed from one."""
        if number not in inside:
            op = flow.ops[number]
            inside[number] = False
            if op.products:
                inside[number] = number in expanding
            else:
                wanted = [s for s in op.reads if flow.is_activation(s)]
                of_rows = [s for s in wanted if _is_of_rows(flow, s, flow.sizes[saved])]
                inside[number] = any([visit(flow.producers[s]) for s in of_rows])
        return inside[number]

    visit(flow.producers[saved])
    return {number for number, found in inside.items() if found}


def _is_of_rows(flow: Flow, storage: int, size: int) -> bool:
    """Whether a storage has about as many elements as one of `size` bytes, or one for each row.

    Elements may be of 8 bytes there and of one here (whether a score is minus infinity).
    """
    return flow.sizes[storage] * 8 >= size or flow.sizes[storage] * ROW <= size
