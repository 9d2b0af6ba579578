"""Axes that the forward pass sums over outside contractions: what a norm ties together."""

from __future__ import annotations

from collections.abc import Iterable

from ssft.compiler.analysis.axes import AxisAnalysis
from ssft.compiler.analysis.contractions import as_contraction, indexing_maps
from ssft.compiler.analysis.step import shape_of
from ssft.dialects._mlir import ir


def normalised_axes(axes: AxisAnalysis, forward: Iterable[ir.Operation]) -> frozenset[int]:
    """Returns the ids of axes that a reduction of the forward pass (no contraction) runs over.

    Permuting such an axis is legal but for rounding, yet it moves every tensor on the residual
    stream of the whole model at once; co-permutation leaves it alone.
    """
    found: set[int] = set()
    for op in forward:
        if op.name != "linalg.generic" or as_contraction(op) is not None:
            continue
        maps = indexing_maps(op)
        if maps is None:
            continue
        kept = set(maps[-1])
        for operand, loops in zip(op.operands, maps[:-1], strict=False):
            for dim, loop in enumerate(loops):
                if loop not in kept and (shape_of(operand) or [])[dim] > 1:
                    found |= {axis.id for _, axis in axes.dimension_of(operand, dim).axes()}
    return frozenset(found)
