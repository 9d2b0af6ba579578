"""``convert-ssft-to-linalg``: lower every ssft operation to linalg, tensor and scf on tensors.

Everything is in destination style, so that bufferization can work in place: a scatter is a loop
that carries its destination, and an update writes to the weight and the states that it reads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from ssft.compiler.analysis.step import check_flat
from ssft.compiler.passes import _build as build
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir
from ssft.dialects.ssft import (
    BarrierOp,
    GatherOp,
    SaveSliceOp,
    ScatterAddOp,
    ScatterOp,
    UpdateOp,
    WeightGradOp,
)


def lower_gather(op: GatherOp) -> list[ir.Value]:
    """A ``linalg.generic`` over the indices that reads the source element by element."""
    source, dim, type_ = op.source, op.dim.value, op.result.type
    along_dim = ir.AffineMap.get(type_.rank, 0, [ir.AffineExpr.get_dim(dim)])

    def body(position: ir.Value, old: ir.Value) -> list[ir.Value]:
        i64 = ir.IntegerType.get_signless(64)
        where: list[ir.Value] = [
            build.op("linalg.index", [ir.IndexType.get()], dim=ir.IntegerAttr.get(i64, d)).result
            for d in range(type_.rank)
        ]
        where[dim] = build.to_index(position)
        return [build.extract(source, where)]

    maps = [along_dim, ir.AffineMap.get_identity(type_.rank)]
    return [build.generic([op.indices], [build.empty(type_)], body, maps).result]


def lower_scatter(op: ScatterOp) -> list[ir.Value]:
    """A loop over the indices that copies one position a time into the destination."""
    return [_loop_over_indices(op, op.slice, None)]


def lower_scatter_add(op: ScatterAddOp) -> list[ir.Value]:
    """A loop over the indices that adds one position a time to the destination."""
    integer = isinstance(op.dest.type.element_type, ir.IntegerType)
    name = "arith.addi" if integer else "arith.addf"

    def add(new: ir.Value, old: ir.Value) -> ir.Value:
        return build.op(name, [old.type], [old, new]).result

    return [_loop_over_indices(op, op.updates, add)]


def lower_save_slice(op: SaveSliceOp) -> list[ir.Value]:
    """A copy of the slice into a tensor of its own, which no folding makes a view again."""
    slice_ = build.extract_slice(op.source, op.dim.value, op.offset.value, op.result.type)
    return [build.materialize(slice_)]


def lower_weight_grad(op: WeightGradOp) -> list[ir.Value]:
    """``linalg.matmul`` with a transposed left operand, after flattening the token dimensions."""
    element_type = op.result.type.element_type
    a, b, tokens = (ir.AffineExpr.get_dim(d) for d in range(3))
    maps = [ir.AffineMap.get(3, 0, list(e)) for e in ((tokens, a), (tokens, b), (a, b))]

    def body(lhs: ir.Value, rhs: ir.Value, sum_: ir.Value) -> list[ir.Value]:
        if lhs.type != element_type:
            lhs, rhs = (build.op("arith.extf", [element_type], [x]).result for x in (lhs, rhs))
        product = build.op("arith.mulf", [element_type], [lhs, rhs]).result
        return [build.op("arith.addf", [element_type], [sum_, product]).result]

    matmul = build.structured(
        "linalg.matmul",
        [build.collapse_leading(op.lhs), build.collapse_leading(op.rhs)],
        [build.fill_with_zero(op.result.type)],
        body,
        indexing_maps=ir.ArrayAttr.get([ir.AffineMapAttr.get(map_) for map_ in maps]),
    )
    return [matmul.result]


def lower_update(op: UpdateOp) -> list[ir.Value]:
    """One ``linalg.generic`` whose destinations are the weight and the states themselves."""
    region = op.body.blocks[0]
    written = [op.weight, *op.states]
    gradients = list(op.gradients)

    def body(*elements: ir.Value) -> list[ir.Value]:
        # linalg puts inputs (gradients) first, ssft.update the weight and the states.
        reordered = [*elements[len(gradients) :], *elements[: len(gradients)]]
        values: dict[ir.Value, ir.Value] = dict(zip(region.arguments, reordered, strict=True))
        *program, terminator = [inner.operation for inner in region.operations]
        for inner in program:
            clone = inner.clone()
            for number, operand in enumerate(inner.operands):
                clone.operands[number] = values.get(operand, operand)
            values.update(zip(inner.results, clone.results, strict=True))
        yielded: list[ir.Value] = list(terminator.operands)
        return [values.get(value, value) for value in yielded]

    return list(build.generic(gradients, written, body).results)


def lower_barrier(op: BarrierOp) -> list[ir.Value]:
    """What is behind it."""
    return [op.source]


Combine = Callable[[ir.Value, ir.Value], ir.Value] | None
"""From the element of a slice and that of the destination to the new one; None takes the first."""


def _loop_over_indices(
    op: ScatterOp | ScatterAddOp, slice_: ir.Value, combine: Combine
) -> ir.Value:
    """Combines each position j of `slice_` with position ``indices[j]`` of the destination."""
    indices, dim = op.indices, op.dim.value
    if indices.type.shape[0] == 1:
        return _single_index(op, slice_, combine)
    one = _narrowed(op.dest.type, dim)

    def body(j: ir.Value, dest: ir.Value) -> ir.Value:
        position = build.to_index(build.extract(indices, [j]))
        update = build.extract_slice(slice_, dim, j, one)
        old = build.extract_slice(dest, dim, position, one)
        return build.insert_slice(_combined(update, old, combine), dest, dim, position)

    return build.loop(indices.type.shape[0], op.dest, body)


def _single_index(op: ScatterOp | ScatterAddOp, slice_: ir.Value, combine: Combine) -> ir.Value:
    """Combines the only position of `slice_` with position ``indices[0]`` of the destination.

    A loop over one index would be taken away, and with it the only place where what is known when
    the step runs may be looked up: this one goes over another dimension.
    """
    indices, dim, type_ = op.indices, op.dim.value, op.dest.type
    others = [d for d in range(type_.rank) if d != dim and type_.shape[d] > 1]
    if not others:
        return _where_index_is(op, slice_, combine)
    other = max(others, key=lambda d: type_.shape[d])
    line = _narrowed(type_, other)
    one = _narrowed(line, dim)

    def body(j: ir.Value, dest: ir.Value) -> ir.Value:
        position = build.to_index(build.extract(indices, [build.index(0)]))
        update = build.extract_slice(slice_, other, j, one)
        old_line = build.extract_slice(dest, other, j, line)
        old = build.extract_slice(old_line, dim, position, one)
        new_line = build.insert_slice(_combined(update, old, combine), old_line, dim, position)
        return build.insert_slice(new_line, dest, other, j)

    return build.loop(type_.shape[other], op.dest, body)


def _where_index_is(op: ScatterOp | ScatterAddOp, slice_: ir.Value, combine: Combine) -> ir.Value:
    """The same for a destination that has one dimension but for extents of 1."""
    rank, dim = op.dest.type.rank, op.dim.value
    first = ir.AffineExpr.get_constant(0)
    positions = [first if d == dim else ir.AffineExpr.get_dim(d) for d in range(rank)]
    only = ir.AffineMap.get(rank, 0, [first])
    i64 = ir.IntegerType.get_signless(64)
    equal = ir.IntegerAttr.get(i64, 0)

    def body(new: ir.Value, position: ir.Value, old: ir.Value) -> list[ir.Value]:
        here = build.op("linalg.index", [ir.IndexType.get()], dim=ir.IntegerAttr.get(i64, dim))
        operands = [here.result, build.to_index(position)]
        boolean = ir.IntegerType.get_signless(1)
        is_it = build.op("arith.cmpi", [boolean], operands, predicate=equal).result
        value = new if combine is None else combine(new, old)
        return [build.op("arith.select", [old.type], [is_it, value, old]).result]

    maps = [ir.AffineMap.get(rank, 0, positions), only, ir.AffineMap.get_identity(rank)]
    return build.generic([slice_, op.indices], [op.dest], body, maps).result


def _combined(update: ir.Value, old: ir.Value, combine: Combine) -> ir.Value:
    if combine is None:
        return build.copy(update, old)
    return build.generic([update], [old], lambda new, before: [combine(new, before)]).result


def _narrowed(type_: ir.RankedTensorType, dim: int) -> ir.RankedTensorType:
    """`type_` with one position of dimension `dim`."""
    shape = list(type_.shape)
    shape[dim] = 1
    return ir.RankedTensorType.get(shape, type_.element_type, type_.encoding)


LOWERINGS: dict[str, Callable[..., list[ir.Value]]] = {
    BarrierOp.OPERATION_NAME: lower_barrier,
    GatherOp.OPERATION_NAME: lower_gather,
    ScatterOp.OPERATION_NAME: lower_scatter,
    ScatterAddOp.OPERATION_NAME: lower_scatter_add,
    SaveSliceOp.OPERATION_NAME: lower_save_slice,
    WeightGradOp.OPERATION_NAME: lower_weight_grad,
    UpdateOp.OPERATION_NAME: lower_update,
}
"""How to build the replacements of an operation's results, right before it."""


@dataclass(frozen=True)
class ConvertSsftToLinalgPass(Pass):
    """Lowers every ssft operation to linalg, tensor and scf on tensors.

    Barriers do their work until ``cse`` has run on tensors for the last time.
    """

    argument: ClassVar[str] = "convert-ssft-to-linalg"

    keep_barriers: bool = field(
        default=False, metadata={"help": "leave ssft.barrier for another run of this pass"}
    )

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites all functions of `module`; nothing of the ssft dialect is left but barriers."""
        check_flat(module)  # what calls say of their functions' operations would be lost
        found: list[ir.Operation] = []
        kept = {BarrierOp.OPERATION_NAME} if self.keep_barriers else set()

        def collect(op: ir.Operation) -> ir.WalkResult:
            if op.name in LOWERINGS and op.name not in kept:
                found.append(op)
            return ir.WalkResult.ADVANCE

        module.walk(collect)
        for op in found:
            context.statistics[op.name] += 1
            with ir.InsertionPoint(op), op.location:
                values = LOWERINGS[op.name](op.opview)
            for old, new in zip(op.results, values, strict=True):
                old.replace_all_uses_with(new)
            op.erase()
