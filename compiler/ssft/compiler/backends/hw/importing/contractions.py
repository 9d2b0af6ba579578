"""Matrix products of any layout, for the tensor unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ssft.compiler.analysis.contractions import Contraction
from ssft.compiler.backends.hw.graph import ContractionDim, ContractionOp, LoopNest
from ssft.compiler.backends.hw.importing.loops import LoopSpace, loop_space, try_loop_space
from ssft.compiler.backends.hw.importing.state import ImportState
from ssft.compiler.backends.hw.views import View
from ssft.dialects._mlir import ir
from ssft.hwmodel.isa import DimKind, MicroOp


def import_contraction(
    state: ImportState, op: ir.Operation, contraction: Contraction, masked_macs: int
) -> None:
    """A contraction; operands that are gathered along m or n stay where they are."""
    lhs, rhs = (_operand(state, state.values[op.operands[i]]) for i in range(2))
    result = state.new_value(op.results[0])
    accumulate = _start_from(state, op, result)
    maps = [contraction.lhs, contraction.rhs, contraction.out]
    extents = list(contraction.sizes)
    kinds = _kinds(contraction)
    a = _gathered_on_chip(state, lhs, contraction.lhs, kinds)
    b = _gathered_on_chip(state, rhs, contraction.rhs, kinds)
    if a.index_factors and b.index_factors:
        b = state.materialized(b)
    sources = [factor.source for view in (a, b) for factor in view.index_factors]
    space = _space(state, [a, b, result], maps, extents)
    dims, index = _dimensions(space, kinds)
    state.values[op.results[0]] = result
    state.ops.append(
        ContractionOp(
            state.origin,
            dims,
            *((o.buffer, o.offset) for o in space.operands),
            index=index,
            source=sources[0] if index is not None else 0,
            accumulate=accumulate,
            masked_macs=masked_macs,
        )
    )


def import_as_nest(state: ImportState, op: ir.Operation, contraction: Contraction) -> None:
    """A contraction without a body, of numbers that only the vector unit multiplies."""
    lhs, rhs = (_operand(state, state.values[op.operands[i]]) for i in range(2))
    result = state.new_value(op.results[0])
    maps = [contraction.lhs, contraction.rhs, contraction.out]
    space = loop_space(state, [lhs, rhs, result], maps, contraction.sizes)
    *inputs, output = space.operands
    summed = [loop in contraction.k for loop, parts in enumerate(space.parts) for _ in parts]
    dtype = result.buffer.dtype
    code = [MicroOp("mulf", (0, 1), dtype)]
    if any(summed):
        output.initial = 0.0
        code.append(MicroOp("addf", (2, 3), dtype))
    else:  # a sum of one product, to which zeros are added
        code += [MicroOp("constant", (), dtype, 0.0), MicroOp("addf", (3, 4), dtype)]
    register = 2 + len(code)
    state.ops.append(
        LoopNest(state.origin, space.extents, tuple(summed), inputs, [output], code, [register])
    )
    state.values[op.results[0]] = result


def _operand(state: ImportState, view: View) -> View:
    return state.materialized(view) if view.buffer.splat is not None else view


def _start_from(state: ImportState, op: ir.Operation, result: View) -> bool:
    """Copies what is added to into `result`; False if that is zero."""
    if len(op.operands) < 3:
        return False
    start = state.values[op.operands[2]]
    if start.buffer.splat == 0:
        return False
    state.copy(start, result)
    return True


def _kinds(contraction: Contraction) -> list[DimKind]:
    kinds: list[DimKind] = ["k"] * len(contraction.sizes)
    for loops, kind in (
        (contraction.batch, "batch"),
        (contraction.m, "m"),
        (contraction.n, "n"),
    ):
        for loop in loops:
            kinds[loop] = kind  # type: ignore[call-overload]
    return kinds


def _gathered_on_chip(
    state: ImportState, view: View, loops: tuple[int, ...], kinds: list[DimKind]
) -> View:
    """`view` if the tensor unit can look its list up itself, else a copy."""
    if not view.index_factors:
        return view
    gathered = [
        kinds[loop]
        for dim, loop in zip(view.dims, loops, strict=True)
        if any(f.index is not None for f in dim)
    ]
    on_chip = state.looked_up_on_chip(view) and gathered in (["m"], ["n"])
    return view if on_chip else state.materialized(view)


def _space(
    state: ImportState, views: list[View], maps: list[tuple[int, ...]], extents: list[int]
) -> LoopSpace:
    space = try_loop_space(views, maps, extents)
    if space is not None:
        return space
    copied = [
        state.materialized(view)
        if view.index_factors or any(len(dim) > 1 for dim in view.dims)
        else view
        for view in views[:2]
    ]
    return loop_space(state, [*copied, views[2]], maps, extents)


def _dimensions(
    space: LoopSpace, kinds: list[DimKind]
) -> tuple[tuple[ContractionDim, ...], tuple[int, View] | None]:
    of_part: dict[int, DimKind] = {
        part: kinds[loop] for loop, parts in enumerate(space.parts) for part in parts
    }
    a, b, c = space.operands
    dims = tuple(
        ContractionDim(of_part[d], extent, a.strides[d], b.strides[d], c.strides[d])
        for d, extent in enumerate(space.extents)
    )
    found = [
        (d, view) for operand in (a, b) for d, view in enumerate(operand.index) if view is not None
    ]
    return (dims, found[0]) if found else (_merged(dims), None)


def _merged(dims: Sequence[ContractionDim]) -> tuple[ContractionDim, ...]:
    """Neighbouring loops to sum over as one where operands lie accordingly.

    Of one loop, any multiple of a group of products is a tile; of the inner one of two, only if it
    is such a multiple itself.
    """
    out: list[ContractionDim] = []
    for dim in dims:
        last = out[-1] if out else None
        if (
            last is not None
            and last.kind == dim.kind == "k"
            and (last.a, last.b, last.c)
            == (dim.extent * dim.a, dim.extent * dim.b, dim.extent * dim.c)
        ):
            out[-1] = replace(dim, extent=last.extent * dim.extent)
        else:
            out.append(dim)
    return tuple(out)
