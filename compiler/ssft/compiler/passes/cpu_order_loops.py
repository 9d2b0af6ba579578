"""``cpu-order-loops``: walk through arrays in the order in which they lie in memory.

A ``linalg.generic`` runs its loops in the order of its dimensions, whatever the layouts. Here the
loop along which most arrays have their smallest stride becomes the innermost one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir

_CACHE_LINE = 16
"""Elements; strides beyond it all cost a cache line for each element."""


@dataclass(frozen=True)
class CpuOrderLoopsPass(Pass):
    """Interchanges the loops of ``linalg.generic`` operations on memrefs with static strides."""

    argument: ClassVar[str] = "cpu-order-loops"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites all generics in `module`."""
        generics: list[ir.Operation] = []

        def collect(op: ir.Operation) -> ir.WalkResult:
            if op.name == "linalg.generic" and not op.results:
                generics.append(op)
            return ir.WalkResult.ADVANCE

        module.walk(collect)
        with module.context:
            for generic in generics:
                order = best_order(generic)
                if order is not None and order != sorted(order):
                    _interchange(generic, order)
                    context.statistics["loops interchanged"] += 1


def best_order(generic: ir.Operation) -> list[int] | None:
    """Loops from the outermost to the innermost; None if the layouts are not known.

    The innermost loop is the one whose steps touch the fewest cache lines; equal ones are ordered
    by the distance that they move.
    """
    loops = len(ir.ArrayAttr(generic.attributes["iterator_types"]))
    lines, distances = [0] * loops, [0] * loops
    maps = ir.ArrayAttr(generic.attributes["indexing_maps"])
    for value, attribute in zip(generic.operands, maps, strict=True):
        if not isinstance(value.type, ir.MemRefType):
            continue
        strides, _ = value.type.get_strides_and_offset()
        if ir.ShapedType.get_dynamic_stride_or_offset() in strides:
            return None
        results = ir.AffineMapAttr(attribute).value.results
        for stride, expression in zip(strides, results, strict=True):
            if isinstance(expression, ir.AffineDimExpr):
                lines[expression.position] += min(stride, _CACHE_LINE)
                distances[expression.position] += stride
    return sorted(range(loops), key=lambda loop: (-lines[loop], -distances[loop], loop))


def _interchange(generic: ir.Operation, order: list[int]) -> None:
    position = {loop: number for number, loop in enumerate(order)}
    kinds = list(ir.ArrayAttr(generic.attributes["iterator_types"]))
    generic.attributes["iterator_types"] = ir.ArrayAttr.get([kinds[loop] for loop in order])
    renamed = [ir.AffineDimExpr.get(position[loop]) for loop in range(len(order))]
    substitution = ir.AffineMap.get(len(order), 0, renamed)
    maps = [
        ir.AffineMap.get(
            len(order),
            0,
            [expression.compose(substitution) for expression in map_.value.results],
        )
        for map_ in map(ir.AffineMapAttr, ir.ArrayAttr(generic.attributes["indexing_maps"]))
    ]
    generic.attributes["indexing_maps"] = ir.ArrayAttr.get(
        [ir.AffineMapAttr.get(map_) for map_ in maps]
    )
    _renumber_indices(generic, position)


def _renumber_indices(generic: ir.Operation, position: dict[int, int]) -> None:
    def renumber(op: ir.Operation) -> ir.WalkResult:
        if op.name == "linalg.index":
            old = ir.IntegerAttr(op.attributes["dim"])
            op.attributes["dim"] = ir.IntegerAttr.get(old.type, position[old.value])
        return ir.WalkResult.ADVANCE

    for op in generic.regions[0].blocks[0].operations:
        op.operation.walk(renumber)
