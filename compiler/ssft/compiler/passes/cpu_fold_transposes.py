"""``cpu-fold-transposes``: read transposed operands of contractions in place.

A BLAS call transposes an operand for free, through a flag or by exchanging strides. So a
permutation that feeds a contraction is composed into the contraction's indexing map, and no
transposed copy is ever made for it. Runs on generic contractions (after
``linalg-generalize-named-ops``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.analysis.contractions import as_contraction, indexing_maps
from ssft.compiler.analysis.elementwise import is_parallel
from ssft.compiler.analysis.step import owner
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class CpuFoldTransposesPass(Pass):
    """Composes permutations of the two factors of each contraction into its indexing maps."""

    argument: ClassVar[str] = "cpu-fold-transposes"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites every ``linalg.generic`` contraction in `module`."""
        found: list[ir.Operation] = []

        def collect(op: ir.Operation) -> ir.WalkResult:
            if op.name == "linalg.generic" and as_contraction(op) is not None:
                found.append(op)
            return ir.WalkResult.ADVANCE

        module.walk(collect)
        with module.context:
            for contraction in found:
                for number in (0, 1):
                    while _fold(contraction, number):
                        context.statistics["transposes folded"] += 1


def _fold(contraction: ir.Operation, number: int) -> bool:
    """Replaces operand `number` by the tensor it is a permutation of, if it is one."""
    producer = owner(contraction.operands[number])
    permutation = as_permutation(producer)
    if producer is None or permutation is None:
        return False
    maps = [list(loops) for loops in indexing_maps(contraction) or []]
    source = [0] * len(permutation)
    for position, dimension in enumerate(permutation):
        source[dimension] = maps[number][position]
    maps[number] = source
    loops = len(ir.ArrayAttr(contraction.attributes["iterator_types"]))
    contraction.attributes["indexing_maps"] = ir.ArrayAttr.get(
        [ir.AffineMapAttr.get(_projection(loops, dimensions)) for dimensions in maps]
    )
    contraction.operands[number] = producer.operands[0]
    return True


def as_permutation(op: ir.Operation | None) -> list[int] | None:
    """The source dimension of each result dimension if `op` only permutes dimensions."""
    if op is None or len(op.results) != 1:
        return None
    if op.name == "linalg.transpose":
        return list(ir.DenseI64ArrayAttr(op.attributes["permutation"]))
    if op.name != "linalg.generic" or len(op.operands) != 2 or not is_parallel(op):
        return None
    block = op.regions[0].blocks[0]
    if len(block.operations) != 1:
        return None
    if block.operations[0].operation.operands[0] != block.arguments[0]:
        return None
    maps = indexing_maps(op)
    if maps is None or sorted(maps[0]) != sorted(maps[1]):
        return None
    return [maps[0].index(loop) for loop in maps[1]]


def _projection(loops: int, dimensions: list[int]) -> ir.AffineMap:
    return ir.AffineMap.get(loops, 0, [ir.AffineDimExpr.get(d) for d in dimensions])
