"""``linalg.generic``, ``linalg.fill`` and ``ssft.update`` as loop nests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ssft.compiler.backends.hw.graph import Lookup, LoopNest, Operand
from ssft.compiler.backends.hw.importing.bodies import (
    BodyWriter,
    captured_values,
    constant_number,
    element_type,
    is_constant,
)
from ssft.compiler.backends.hw.importing.state import ImportState
from ssft.compiler.backends.hw.views import (
    Dimension,
    Factor,
    View,
    common_extents,
    split_factors,
)
from ssft.compiler.diagnostics import UserError
from ssft.dialects._mlir import ir, linalg_indexing_maps
from ssft.hwmodel.isa import MicroOp


@dataclass(frozen=True, slots=True)
class Window:
    """A dimension that several loops move, each by so many positions: ``2 * d0 + d3``."""

    steps: tuple[tuple[int, int], ...]


Expressions = tuple[int | Window | None, ...]
"""For each dimension of an operand the loop that it runs over, None for a constant 0."""


@dataclass(slots=True)
class LoopSpace:
    """The loops of an operation, split until every operand moves by one stride along each.

    `parts` gives for each original loop the numbers of the loops it was split into, major first.
    """

    extents: tuple[int, ...]
    parts: list[list[int]]
    operands: list[Operand]


def operand_expressions(op: ir.Operation) -> list[Expressions]:
    """The indexing maps of an operation; `UserError` if a map is more than sums of loops."""
    return [
        tuple(_expression(op, expression) for expression in ir.AffineMapAttr(map_).value.results)
        for map_ in linalg_indexing_maps(op) or ()
    ]


def _expression(op: ir.Operation, expression: ir.AffineExpr) -> int | Window | None:
    if isinstance(expression, ir.AffineDimExpr):
        return expression.position
    steps: list[tuple[int, int]] = []
    offset = 0
    pending = [(expression, 1)]
    while pending:
        part, scale = pending.pop()
        if isinstance(part, ir.AffineAddExpr):
            pending += [(part.rhs, scale), (part.lhs, scale)]
        elif isinstance(part, ir.AffineMulExpr) and isinstance(part.rhs, ir.AffineConstantExpr):
            pending.append((part.lhs, scale * part.rhs.value))
        elif isinstance(part, ir.AffineDimExpr):
            steps.append((part.position, scale))
        elif isinstance(part, ir.AffineConstantExpr):
            offset += scale * part.value
        else:
            offset = -1
            break
    if offset or any(scale < 0 for _, scale in steps):
        raise UserError(
            f"'{op.name}' reads an operand at '{expression}'",
            notes=["the accelerator reads operands at loop indices and their sums only"],
        )
    return Window(tuple(steps)) if steps else None


def _loops(op: ir.Operation) -> int:
    """Number of loops of a structured operation."""
    maps = linalg_indexing_maps(op)
    assert maps
    return int(ir.AffineMapAttr(maps[0]).value.n_dims)


def loop_extents(views: Sequence[View], maps: Sequence[Expressions], count: int) -> list[int]:
    """Trip count of each of `count` loops."""
    extents = [1] * count
    for view, expressions in zip(views, maps, strict=True):
        for extent, loop in zip(view.shape, expressions, strict=True):
            if isinstance(loop, int):
                extents[loop] = extent
    return extents


def loop_space(
    state: ImportState, views: Sequence[View], maps: Sequence[Expressions], extents: Sequence[int]
) -> LoopSpace:
    """Splits loops as the operands' views need; copies operands whose factors do not nest."""
    views = [state.direct(view) for view in views]
    space = try_loop_space(views, maps, extents)
    if space is None:
        copied = [
            state.materialized(view)
            if view.index_factors or any(len(dim) > 1 for dim in view.dims)
            else view
            for view in views
        ]
        space = try_loop_space(copied, maps, extents)
    assert space is not None
    return space


def try_loop_space(
    views: Sequence[View], maps: Sequence[Expressions], extents: Sequence[int]
) -> LoopSpace | None:
    """As `loop_space`, but None where factors do not nest; copies nothing."""
    running: list[list[Dimension]] = [[(Factor(extent, 0),)] for extent in extents]
    for view, expressions in zip(views, maps, strict=True):
        for dim, loop in zip(view.dims, expressions, strict=True):
            if isinstance(loop, int):
                running[loop].append(dim)
    refined: list[tuple[int, ...]] = []
    for dims in running:
        split = common_extents(dims)
        if split is None:
            return None
        refined.append(split)
    parts: list[list[int]] = []
    flat: list[int] = []
    for split in refined:
        parts.append(list(range(len(flat), len(flat) + len(split))))
        flat += split
    operands = []
    for view, expressions in zip(views, maps, strict=True):
        operand = _operand(view, expressions, refined, parts, len(flat))
        if operand is None:
            return None
        operands.append(operand)
    return LoopSpace(tuple(flat), parts, operands)


def _operand(
    view: View,
    expressions: Expressions,
    refined: Sequence[tuple[int, ...]],
    parts: Sequence[list[int]],
    count: int,
) -> Operand | None:
    strides = [0] * count
    index: list[View | None] = [None] * count
    for dim, loop in zip(view.dims, expressions, strict=True):
        if isinstance(loop, Window):
            factor = dim[0]
            if len(dim) > 1 or factor.index is not None:
                return None
            for moved, scale in loop.steps:
                step = factor.stride * scale
                for part, extent in zip(parts[moved][::-1], refined[moved][::-1], strict=True):
                    strides[part] += step
                    step *= extent
            continue
        if loop is None:
            continue
        factors: list[Factor] | None = split_factors(dim, refined[loop])
        if factors is None:
            return None
        for factor, part in zip(factors, parts[loop], strict=True):
            if strides[part] and factor.stride:
                strides[part] += factor.stride
            else:
                strides[part] = strides[part] or factor.stride
            index[part] = index[part] or factor.index
    return Operand(view.buffer, view.offset, tuple(strides), tuple(index))


def import_generic(state: ImportState, op: ir.Operation) -> None:
    """A ``linalg.generic`` whose body is scalar code."""
    block = op.regions[0].blocks[0]
    maps = operand_expressions(op)
    outputs = len(op.results)
    values = list(op.operands)
    views = [state.values[value] for value in values]
    written = {loop for expressions in maps[-outputs:] for loop in expressions}
    extents = loop_extents(views, maps, _loops(op))
    # Over a single iteration there is nothing to sum: such a loop does not even remain.
    reduction = [loop not in written and extent > 1 for loop, extent in enumerate(extents)]
    results = [state.new_value(result) for result in op.results]
    first = len(views) - outputs
    starts = views[first:]
    used = [bool(list(argument.uses)) for argument in list(block.arguments)[first:]]
    initial: list[int | float | None] = [None] * outputs
    reads = [
        (argument, view, expressions)
        for argument, view, expressions in zip(
            list(block.arguments)[:first], views[:first], maps[:first], strict=True
        )
        if list(argument.uses)
    ]
    if not any(reduction):  # the current value of an output is one more input
        starting = zip(list(block.arguments)[first:], starts, maps[first:], strict=True)
        reads += [read for read, needed in zip(starting, used, strict=True) if needed]
    else:
        for number, (start, result) in enumerate(zip(starts, results, strict=True)):
            if not used[number]:
                continue
            if start.buffer.splat is not None:
                initial[number] = start.buffer.splat
            else:
                state.copy(start, result)
    _finish(state, block, reads, results, maps[len(views) - outputs :], extents, reduction, initial)
    for value, result in zip(op.results, results, strict=True):
        state.values[value] = result


def _finish(
    state: ImportState,
    block: ir.Block,
    reads: Sequence[tuple[ir.Value, View, Expressions]],
    results: Sequence[View],
    result_maps: Sequence[Expressions],
    extents: Sequence[int],
    reduction: Sequence[bool],
    initial: Sequence[int | float | None],
    optimizer: int | None = None,
) -> None:
    """Appends the nest of a body: `reads` bind block arguments to views."""
    splats = [(argument, view) for argument, view, _ in reads if view.buffer.splat is not None]
    loaded = [read for read in reads if read[1].buffer.splat is None]
    scalars = [
        (value, state.values[value])
        for value in captured_values(block)
        if not is_constant(value) and value in state.values and _is_scalar(value)
    ]
    views = [view for _, view, _ in loaded] + [view for _, view in scalars] + list(results)
    maps = [m for _, _, m in loaded] + [()] * len(scalars) + list(result_maps)
    space = loop_space(state, views, maps, extents)
    inputs = space.operands[: len(loaded) + len(scalars)]
    outputs = space.operands[len(inputs) :]
    for operand, number in zip(outputs, initial, strict=True):
        operand.initial = number
    writer = BodyWriter(len(inputs) + len(outputs))
    for register, (argument, _, _) in enumerate(loaded):
        writer.registers[argument] = register
    for register, (value, _) in enumerate(scalars, len(loaded)):
        writer.registers[value] = register
    for argument, view in splats:
        assert view.buffer.splat is not None
        writer.registers[argument] = writer.constant(view.buffer.splat, view.buffer.dtype)
    arguments = list(block.arguments)
    for register, argument in enumerate(arguments[len(arguments) - len(results) :], len(inputs)):
        if optimizer is None:
            writer.registers.setdefault(argument, register)
    lookups: list[Lookup] = []
    yielded = writer.write_block(
        block,
        {
            "linalg.index": lambda op: _index(writer, space, op),
            "tensor.extract": lambda op: _extract(state, writer, space, lookups, op),
        },
    )
    state.ops.append(
        LoopNest(
            state.origin,
            space.extents,
            tuple(reduction[loop] for loop, parts in enumerate(space.parts) for _ in parts),
            inputs,
            outputs,
            writer.code,
            yielded,
            lookups,
            optimizer,
        )
    )


def _is_scalar(value: ir.Value) -> bool:
    return not isinstance(value.type, ir.RankedTensorType)


def _index(writer: BodyWriter, space: LoopSpace, op: ir.Operation) -> int:
    """The index of an original loop, put together from the loops it was split into."""
    parts = space.parts[ir.IntegerAttr(op.attributes["dim"]).value]
    if not parts:
        return writer.constant(0, "i64")
    register = writer.emit(MicroOp("index", (), "i64", parts[0]))
    for part in parts[1:]:
        extent = writer.constant(space.extents[part], "i64")
        scaled = writer.emit(MicroOp("muli", (register, extent), "i64"))
        index = writer.emit(MicroOp("index", (), "i64", part))
        register = writer.emit(MicroOp("addi", (scaled, index), "i64"))
    return register


def _extract(
    state: ImportState,
    writer: BodyWriter,
    space: LoopSpace,
    lookups: list[Lookup],
    op: ir.Operation,
) -> int:
    view = state.values[op.operands[0]]
    if not view.dims:
        raise UserError("'tensor.extract' of a 0-d tensor within a loop is not supported")
    if (
        view.index_factors
        or any(len(dim) > 1 for dim in view.dims)
        or view.buffer.splat is not None
        or id(view.buffer) in state.written
    ):
        view = state.materialized(view)
    loops: list[int | None] = []
    registers: list[int] = []
    for index, dim in zip(list(op.operands)[1:], view.dims, strict=True):
        loop = _own_loop(space, index, dim[0].extent)
        loops.append(loop)
        registers.append(writer.value(index) if loop is None else -1)
    lookup = Lookup(
        view.buffer,
        view.offset,
        view.shape,
        tuple(dim[0].stride for dim in view.dims),
        tuple(loops),
    )
    lookups.append(lookup)
    dtype = element_type(op.results[0].type)
    return writer.emit(MicroOp("extract", tuple(registers), dtype, len(lookups) - 1))


def _own_loop(space: LoopSpace, index: ir.Value, extent: int) -> int | None:
    """The loop whose index `index` is, if it runs over all of a dimension of `extent`."""
    if isinstance(index.owner, ir.Block) or index.owner.operation.name != "linalg.index":
        return None
    parts = space.parts[ir.IntegerAttr(index.owner.operation.attributes["dim"]).value]
    if len(parts) != 1 or space.extents[parts[0]] != extent:
        return None
    return parts[0]


def import_update(state: ImportState, op: ir.Operation) -> None:
    """``ssft.update``: a parallel nest over the slice, in the order of the weight in memory."""
    _, states, _ = list(ir.DenseI32ArrayAttr(op.attributes["operandSegmentSizes"]))
    block = op.regions[0].blocks[0]
    views = [state.values[value] for value in op.operands]
    rank = len(views[0].dims)
    strides = [max((f.stride for f in dim), default=0) for dim in views[0].dims]
    order = sorted(range(rank), key=lambda d: -strides[d])
    position = {dim: loop for loop, dim in enumerate(order)}
    expressions = tuple(position[d] for d in range(rank))
    results = [state.new_value(result, order) for result in op.results]
    extents = [views[0].shape[d] for d in order]
    reads = [
        (argument, view, expressions)
        for argument, view in zip(block.arguments, views, strict=True)
        if list(argument.uses)
    ]
    maps = [expressions] * len(results)
    none = [None] * len(results)
    _finish(state, block, reads, results, maps, extents, [False] * rank, none, states)
    for value, result in zip(op.results, results, strict=True):
        state.values[value] = result


def import_fill(state: ImportState, op: ir.Operation) -> None:
    """``linalg.fill``: a tensor that takes no memory until somebody writes into it."""
    number = op.operands[0].owner.operation
    if number.name != "arith.constant":
        raise UserError("'linalg.fill' with a computed value is not supported")
    type_ = ir.RankedTensorType(op.results[0].type)
    dtype = element_type(type_)
    state.values[op.results[0]] = state.splat(constant_number(number), dtype, list(type_.shape))
