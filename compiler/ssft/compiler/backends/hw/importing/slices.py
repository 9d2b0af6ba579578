"""The ``ssft`` operations that move slices."""

from __future__ import annotations

from ssft.compiler.backends.hw.graph import RowLookup, ScatterAdd, Store
from ssft.compiler.backends.hw.importing.state import ImportState
from ssft.compiler.backends.hw.views import Factor, gathered, packed_strides, sliced
from ssft.compiler.diagnostics import UserError
from ssft.dialects._mlir import ir


def import_gather(state: ImportState, op: ir.Operation) -> None:
    """``ssft.gather``: a view whose dimension looks up the list."""
    source, index = state.values[op.operands[0]], state.contiguous(state.values[op.operands[1]])
    dim = ir.IntegerAttr(op.attributes["dim"]).value
    if source.buffer.splat is not None:
        shape = list(ir.RankedTensorType(op.results[0].type).shape)
        state.values[op.results[0]] = state.splat(source.buffer.splat, source.buffer.dtype, shape)
        return
    view = gathered(source, dim, index)
    if view is None:
        view = gathered(state.materialized(source), dim, index)
    assert view is not None
    state.values[op.results[0]] = view


def import_scatter(state: ImportState, op: ir.Operation) -> None:
    """``ssft.scatter`` into an argument's own memory, or into a copy."""
    target, index, source = (state.values[operand] for operand in op.operands)
    dim = ir.IntegerAttr(op.attributes["dim"]).value
    index = state.contiguous(index)
    if op.results[0] not in state.in_place:
        result = state.new_value(op.results[0])
        state.copy(target, result)
        region = gathered(result, dim, index)
        assert region is not None
        state.written.add(id(result.buffer))
        state.ops.append(Store(state.origin, state.direct(source), region))
        state.values[op.results[0]] = result
        return
    region = gathered(target, dim, index)
    if region is None:
        raise UserError("'ssft.scatter' into a reshaped parameter is not supported")
    state.written.add(id(target.buffer))
    if source != region:  # otherwise the slice was written through a gathered view already
        state.ops.append(Store(state.origin, state.direct(source), region))
    state.values[op.results[0]] = target


def import_save_slice(state: ImportState, op: ir.Operation) -> None:
    """``ssft.save_slice``: a copy, so that the rest of the tensor can go."""
    source = state.values[op.operands[0]]
    attributes = op.attributes
    dim, offset, size = (ir.IntegerAttr(attributes[n]).value for n in ("dim", "offset", "size"))
    offsets, sizes = [0] * len(source.dims), list(source.shape)
    offsets[dim], sizes[dim] = offset, size
    view = sliced(source, offsets, sizes, [1] * len(sizes))
    if view is None:
        view = sliced(state.materialized(source), offsets, sizes, [1] * len(sizes))
    assert view is not None
    state.values[op.results[0]] = state.materialized(view)


def import_barrier(state: ImportState, op: ir.Operation) -> None:
    """``ssft.barrier``: what is behind it; nothing here looks for equal computations."""
    state.values[op.results[0]] = state.values[op.operands[0]]


def import_scatter_add(state: ImportState, op: ir.Operation) -> None:
    """``ssft.scatter_add`` of rows."""
    target, index, source = (state.values[operand] for operand in op.operands)
    dim = ir.IntegerAttr(op.attributes["dim"]).value
    if dim != 0 or target.buffer.dtype != "f32":
        raise UserError("'ssft.scatter_add' is supported for rows of f32 only")
    result = state.new_value(op.results[0])
    state.copy(target, result)
    source, index = state.contiguous(source), state.contiguous(index)
    rows = result.shape[0]
    state.ops.append(
        ScatterAdd(
            state.origin,
            result.buffer,
            rows,
            result.elements // rows,
            source.buffer,
            source.offset,
            index,
            index.elements,
        )
    )
    state.values[op.results[0]] = result


def import_row_lookup(state: ImportState, op: ir.Operation) -> bool:
    """A generic that only looks up rows of a table in memory, by a list; False if `op` is none."""
    index = _looked_up_rows(op)
    if index is None:
        return False
    block = op.regions[0].blocks[0]
    extract = next(
        inner.operation for inner in block.operations if inner.operation.name == "tensor.extract"
    )
    table = state.values[extract.operands[0]]
    strides = packed_strides(table.shape)
    plain = all(
        dim == (Factor(extent, stride),) or extent == 1
        for dim, extent, stride in zip(table.dims, table.shape, strides, strict=True)
    )
    if table.buffer.kind == "value" or table.buffer.splat is not None or not plain:
        return False
    view = state.contiguous(state.values[index])
    result = state.new_value(op.results[0])
    row = table.elements // table.shape[0]
    state.ops.append(
        RowLookup(
            state.origin, table.buffer, table.offset, row, row, view, view.elements, result.buffer
        )
    )
    state.values[op.results[0]] = result
    return True


def _looked_up_rows(op: ir.Operation) -> ir.Value | None:
    """The list, if the body is ``extract table[in, trailing loops...]`` and nothing else."""
    block = op.regions[0].blocks[0]
    body = [inner.operation for inner in block.operations]
    names = sorted(inner.name for inner in body[:-1])
    trailing = names.count("linalg.index")
    if names != ["arith.index_cast", *["linalg.index"] * trailing, "tensor.extract"]:
        return None
    cast = next(inner for inner in body if inner.name == "arith.index_cast")
    extract = next(inner for inner in body if inner.name == "tensor.extract")
    rank = len(ir.RankedTensorType(op.results[0].type).shape)
    if cast.operands[0] != block.arguments[0] or extract.operands[1] != cast.results[0]:
        return None
    loops = [
        ir.IntegerAttr(index.owner.operation.attributes["dim"]).value
        for index in list(extract.operands)[2:]
        if not isinstance(index.owner, ir.Block) and index.owner.operation.name == "linalg.index"
    ]
    table = ir.RankedTensorType(extract.operands[0].type).shape
    result = ir.RankedTensorType(op.results[0].type).shape
    maps = [ir.AffineMapAttr(a).value for a in ir.ArrayAttr(op.attributes["indexing_maps"])]
    leading = [str(expression) for expression in maps[0].results]
    whole_rows = (
        loops == list(range(rank - trailing, rank))
        and list(table)[1:] == list(result)[rank - trailing :]
    )
    same_order = leading == [f"d{d}" for d in range(rank - trailing)]
    identity = [str(e) for e in maps[-1].results] == [f"d{d}" for d in range(rank)]
    yields = body[-1].operands[0] == extract.results[0] and len(op.operands) == 2
    if not (whole_rows and same_order and identity and yields and trailing):
        return None
    return op.operands[0]
