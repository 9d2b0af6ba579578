"""``cpu-fold-transposes``: read and write transposed operands of contractions in place.

A matrix product transposes an operand for free, by exchanging strides, and repeats one along a
dimension by a stride of zero. So an operation that only permutes the dimensions of what goes into a
contraction, or repeats it, is composed into the contraction's indexing map, and so is one that
permutes the result of a batch of products and is its only user. Runs on generic contractions (after
``linalg-generalize-named-ops``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.analysis.contractions import as_contraction, indexing_maps
from ssft.compiler.analysis.forms import as_projection, projections, starts_from_zeros
from ssft.compiler.analysis.step import owner
from ssft.compiler.passes import _build as build
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class CpuFoldTransposesPass(Pass):
    """Composes permutations around each contraction, and repetitions, into its indexing maps."""

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
                if _fold_result(contraction):
                    context.statistics["transposes folded"] += 1


def _fold(contraction: ir.Operation, number: int) -> bool:
    """Replaces operand `number` by what it is a permutation or repetition of, if it is one."""
    producer = owner(contraction.operands[number])
    projection = as_projection(producer)
    if producer is None or projection is None:
        return False
    maps = indexing_maps(contraction) or []
    source = tuple(maps[number][dimension] for dimension in projection)
    contracted = set(maps[0]) - set(maps[2])
    if not contracted & set(maps[number]) <= set(source):
        return False  # a sum over repetitions would no longer be a matrix product
    maps[number] = source
    _set_maps(contraction, maps)
    contraction.operands[number] = producer.operands[0]
    return True


def _fold_result(contraction: ir.Operation) -> bool:
    """Lets the contraction write its result in the order that its only user gives it."""
    users = [use.owner.operation for use in contraction.results[0].uses]
    found = as_contraction(contraction)
    if len(users) != 1 or not starts_from_zeros(contraction) or found is None or not found.batch:
        return False
    projection = as_projection(users[0])
    maps = indexing_maps(contraction) or []
    if projection is None or len(projection) != len(users[0].results[0].type.shape):
        return False
    order = [projection.index(dimension) for dimension in range(len(projection))]
    type_ = users[0].results[0].type
    with ir.InsertionPoint(contraction), contraction.location:
        zeros = build.fill_with_zero(type_)
        copy = contraction.clone()
    copy.operands[2] = zeros
    copy.results[0].set_type(type_)
    _set_maps(copy, [*maps[:2], tuple(maps[2][dimension] for dimension in order)])
    users[0].results[0].replace_all_uses_with(copy.results[0])
    users[0].erase()
    contraction.erase()
    return True


def _set_maps(contraction: ir.Operation, maps: Sequence[Sequence[int]]) -> None:
    loops = len(ir.ArrayAttr(contraction.attributes["iterator_types"]))
    contraction.attributes["indexing_maps"] = projections(loops, maps)
