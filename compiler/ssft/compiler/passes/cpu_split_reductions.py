"""``cpu-split-reductions``: add up large sums in two stages.

A sum over several dimensions becomes partial sums along the inner ones and a sum of these. That is
more accurate in single precision, because no accumulator sees more than one row, and the rows are
independent of each other, so that threads can share them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from ssft.compiler.analysis.contractions import indexing_maps
from ssft.compiler.analysis.step import find_step, shape_of
from ssft.compiler.passes import _build as build
from ssft.compiler.passes._accumulators import accumulators
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class CpuSplitReductionsPass(Pass):
    """Splits additions over at least two reduction loops that end in a tensor of few elements."""

    argument: ClassVar[str] = "cpu-split-reductions"

    minimum: int = field(
        default=4096, metadata={"help": "split sums of at least this many terms per element"}
    )

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites the sums in the block of ``@step``."""
        step = find_step(module)
        with module.context:
            for op in list(step.regions[0].blocks[0].operations):
                if self._applies(op.operation):
                    _split(op.operation)
                    context.statistics["sums split"] += 1

    def _applies(self, op: ir.Operation) -> bool:
        if op.name != "linalg.generic" or len(op.results) != 1:
            return False
        combiners = accumulators(op)
        maps = indexing_maps(op)
        if not combiners or combiners[0].name != "arith.addf" or maps is None:
            return False
        sizes = _loop_sizes(op, maps)
        reduced = [size for loop, size in enumerate(sizes) if loop not in maps[-1]]
        return len(reduced) >= 2 and math.prod(reduced) >= self.minimum


def _loop_sizes(op: ir.Operation, maps: list[tuple[int, ...]]) -> list[int]:
    sizes: dict[int, int] = {}
    for value, loops in zip(op.operands, maps, strict=True):
        sizes.update(zip(loops, shape_of(value) or [], strict=False))
    return [sizes.get(loop, 1) for loop in range(len(op.attributes["iterator_types"]))]


def _split(op: ir.Operation) -> None:
    """Makes the outermost reduction loop a parallel loop of partial sums, and adds these up."""
    maps = indexing_maps(op) or []
    sizes = _loop_sizes(op, maps)
    split = next(loop for loop in range(len(sizes)) if loop not in maps[-1])
    result = op.results[0]
    element = ir.RankedTensorType(result.type).element_type
    shape = [sizes[split], *(shape_of(result) or [])]
    partial_type = ir.RankedTensorType.get(shape, element, loc=op.location)
    with ir.InsertionPoint(op), op.location:
        zeros = build.fill_with_zero(partial_type)
        partial = op.clone()
    output = len(partial.operands) - 1
    accumulator = partial.operands[output]
    partial.operands[output] = zeros
    partial.results[0].set_type(partial_type)
    maps[-1] = (split, *maps[-1])
    kinds = list(ir.ArrayAttr(op.attributes["iterator_types"]))
    kinds[split] = ir.Attribute.parse("#linalg.iterator_type<parallel>")
    partial.attributes["iterator_types"] = ir.ArrayAttr.get(kinds)
    partial.attributes["indexing_maps"] = _maps(len(sizes), maps)
    with ir.InsertionPoint(op), op.location:
        total = _sum_of(partial.results[0], accumulator, len(shape))
    result.replace_all_uses_with(total)
    op.erase()


def _sum_of(partial: ir.Value, accumulator: ir.Value, rank: int) -> ir.Value:
    """``accumulator + sum of partial over its first dimension``."""
    element = ir.RankedTensorType(partial.type).element_type
    reduction = ir.Attribute.parse("#linalg.iterator_type<reduction>")
    parallel = ir.Attribute.parse("#linalg.iterator_type<parallel>")

    def body(term: ir.Value, sum_: ir.Value) -> list[ir.Value]:
        return [build.op("arith.addf", [element], [term, sum_]).result]

    return build.structured(
        "linalg.generic",
        [partial],
        [accumulator],
        body,
        indexing_maps=_maps(rank, [tuple(range(rank)), tuple(range(1, rank))]),
        iterator_types=ir.ArrayAttr.get([reduction] + [parallel] * (rank - 1)),
    ).result


def _maps(loops: int, dimensions: list[tuple[int, ...]]) -> ir.ArrayAttr:
    maps = [ir.AffineMap.get(loops, 0, [ir.AffineDimExpr.get(d) for d in ds]) for ds in dimensions]
    return ir.ArrayAttr.get([ir.AffineMapAttr.get(map_) for map_ in maps])
