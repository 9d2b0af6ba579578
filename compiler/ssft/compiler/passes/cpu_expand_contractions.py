"""``cpu-expand-contractions``: let contractions run over the dimensions that reshapes merge.

Attention merges batch and heads into one dimension around its matrix products, behind or in front
of a transpose. The merged array has to be made; without the merging, the product could read and
write the array as it is (``cpu-fold-transposes``). So a loop of a contraction becomes several if an
operand or the result is reshaped accordingly and transposed on the other side of the reshape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.analysis.contractions import as_contraction, indexing_maps
from ssft.compiler.analysis.forms import as_projection, projections, starts_from_zeros
from ssft.compiler.analysis.step import owner, shape_of
from ssft.compiler.passes import _build as build
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir

Shape = tuple[int, ...]


@dataclass(frozen=True)
class CpuExpandContractionsPass(Pass):
    """Moves ``tensor.collapse_shape`` from operands of ``linalg.generic`` contractions to results.

    What has to be expanded to match gets a ``tensor.expand_shape``: neither moves data.
    """

    argument: ClassVar[str] = "cpu-expand-contractions"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites every batched contraction in `module` for which it helps.

        Without a batch the merged loops are the matrix itself, and better left as they are.
        """
        found: list[ir.Operation] = []

        def collect(op: ir.Operation) -> ir.WalkResult:
            contraction = as_contraction(op) if op.name == "linalg.generic" else None
            if contraction is not None and contraction.batch:
                found.append(op)
            return ir.WalkResult.ADVANCE

        module.walk(collect)
        with module.context:
            for contraction in found:
                factors = _factors(contraction)
                if factors:
                    with ir.InsertionPoint(contraction), contraction.location:
                        _expand(contraction, factors)
                    context.statistics["contractions expanded"] += 1


def _factors(contraction: ir.Operation) -> dict[int, Shape]:
    """Sizes of the loops that each merged loop is to become; empty if none is worth it."""
    maps = indexing_maps(contraction) or []
    sides = [_collapsed(value) for value in list(contraction.operands)[:2]]
    sides.append(_expanded(contraction.results[0]))
    factors: dict[int, Shape] = {}
    for loops, groups in zip(maps, sides, strict=True):
        for loop, group in zip(loops, groups, strict=False):
            if len(group) < 2:
                continue
            known = factors.get(loop, group)
            if not _refines(group, known) and not _refines(known, group):
                return {}
            factors[loop] = max(known, group, key=len)
    return factors


def _refines(fine: Shape, coarse: Shape) -> bool:
    """Whether neighbours in `fine` can be merged to become `coarse`."""
    parts = iter(fine)
    for size in coarse:
        product = 1
        while product < size:
            product *= next(parts, size + 1)
        if product != size:
            return False
    return next(parts, None) is None


def _collapsed(value: ir.Value) -> list[Shape]:
    """What each dimension of `value` is merged of, if it is a reshaped transpose."""
    reshape = owner(value)
    if reshape is None or reshape.name != "tensor.collapse_shape":
        return []
    wide = reshape.operands[0]
    return _groups(reshape, wide) if as_projection(owner(wide)) is not None else []


def _expanded(value: ir.Value) -> list[Shape]:
    """What each dimension of `value` is cut into by its only user, if a transpose follows that."""
    reshape = _only_user(value)
    if reshape is None or reshape.name != "tensor.expand_shape":
        return []
    follower = _only_user(reshape.results[0])
    return _groups(reshape, reshape.results[0]) if as_projection(follower) is not None else []


def _only_user(value: ir.Value) -> ir.Operation | None:
    users = [use.owner.operation for use in value.uses]
    return users[0] if len(users) == 1 else None


def _groups(reshape: ir.Operation, wide: ir.Value) -> list[Shape]:
    shape = shape_of(wide) or []
    return [
        tuple(shape[ir.IntegerAttr(dim).value] for dim in ir.ArrayAttr(group))
        for group in ir.ArrayAttr(reshape.attributes["reassociation"])
    ]


def _expand(contraction: ir.Operation, factors: dict[int, Shape]) -> None:
    maps = indexing_maps(contraction) or []
    kinds = list(ir.ArrayAttr(contraction.attributes["iterator_types"]))
    first, count = [], 0
    for loop in range(len(kinds)):
        first.append(count)
        count += len(factors.get(loop, (0,)))
    wide = [
        [first[loop] + i for loop in loops for i in range(len(factors.get(loop, (0,))))]
        for loops in maps
    ]
    operands = [
        _reshaped(value, loops, factors)
        for value, loops in zip(list(contraction.operands)[:2], maps[:2], strict=True)
    ]
    narrow = ir.RankedTensorType(contraction.results[0].type)
    type_ = _wide_type(contraction.results[0], maps[2], factors)
    if starts_from_zeros(contraction):
        operands.append(build.fill_with_zero(type_))
    else:
        operands.append(_reshaped(contraction.operands[2], maps[2], factors))
    copy = contraction.clone()
    for number, value in enumerate(operands):
        copy.operands[number] = value
    copy.results[0].set_type(type_)
    copy.attributes["iterator_types"] = ir.ArrayAttr.get(
        [kind for loop, kind in enumerate(kinds) for _ in factors.get(loop, (0,))]
    )
    copy.attributes["indexing_maps"] = projections(count, wide)
    result = build.op(
        "tensor.collapse_shape",
        [narrow],
        [copy.results[0]],
        reassociation=_reassociation(maps[2], factors),
    ).result
    contraction.results[0].replace_all_uses_with(result)
    contraction.erase()


def _reshaped(value: ir.Value, loops: tuple[int, ...], factors: dict[int, Shape]) -> ir.Value:
    """`value` with its dimensions cut as `factors` says; a reshape that merged them is undone."""
    type_ = _wide_type(value, loops, factors)
    if type_ == value.type:
        return value
    reassociation = _reassociation(loops, factors)
    reshape = owner(value)
    if reshape is not None and reshape.name == "tensor.collapse_shape":
        same = reshape.attributes["reassociation"] == reassociation
        if same and reshape.operands[0].type == type_:
            return reshape.operands[0]
    return build.op(
        "tensor.expand_shape",
        [type_],
        [value],
        reassociation=reassociation,
        static_output_shape=ir.DenseI64ArrayAttr.get(list(type_.shape)),
    ).result


def _wide_type(
    value: ir.Value, loops: tuple[int, ...], factors: dict[int, Shape]
) -> ir.RankedTensorType:
    type_ = ir.RankedTensorType(value.type)
    shape = [
        part
        for loop, size in zip(loops, type_.shape, strict=True)
        for part in factors.get(loop, (size,))
    ]
    assert math.prod(shape) == math.prod(type_.shape)
    return ir.RankedTensorType.get(shape, type_.element_type)


def _reassociation(loops: tuple[int, ...], factors: dict[int, Shape]) -> ir.ArrayAttr:
    i64 = ir.IntegerType.get_signless(64)
    groups, dimension = [], 0
    for loop in loops:
        count = len(factors.get(loop, (0,)))
        numbers = [ir.IntegerAttr.get(i64, dimension + i) for i in range(count)]
        groups.append(ir.ArrayAttr.get(numbers))
        dimension += count
    return ir.ArrayAttr.get(groups)
