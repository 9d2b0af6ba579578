"""``tensor.*`` operations and transposes: most of them are views, the others copies."""

from __future__ import annotations

from ssft.compiler.backends.hw.graph import Store
from ssft.compiler.backends.hw.importing.bodies import constant_number, element_type
from ssft.compiler.backends.hw.importing.state import ImportState
from ssft.compiler.backends.hw.views import (
    Factor,
    View,
    collapsed,
    expanded,
    permuted,
    sliced,
    whole,
)
from ssft.compiler.diagnostics import UserError
from ssft.dialects._mlir import ir


def _shape(value: ir.Value) -> list[int]:
    return list(ir.RankedTensorType(value.type).shape)


def _groups(op: ir.Operation) -> list[list[int]]:
    return [
        [ir.IntegerAttr(dim).value for dim in ir.ArrayAttr(group)]
        for group in ir.ArrayAttr(op.attributes["reassociation"])
    ]


def _static(op: ir.Operation, name: str) -> list[int]:
    numbers = list(ir.DenseI64ArrayAttr(op.attributes[name]))
    if any(number == ir.ShapedType.get_dynamic_size() for number in numbers):
        raise UserError(f"'{op.name}' at a computed position is not supported")
    return numbers


def import_empty(state: ImportState, op: ir.Operation) -> None:
    """``tensor.empty``: nothing until it is written; what it holds has no meaning."""
    dtype = element_type(op.results[0].type)
    state.values[op.results[0]] = state.splat(0, dtype, _shape(op.results[0]))


def import_collapse(state: ImportState, op: ir.Operation) -> None:
    """``tensor.collapse_shape``: a view, unless a single looked-up position is joined."""
    source, groups = state.values[op.operands[0]], _groups(op)
    looked_up = [any(f.index is not None and f.extent == 1 for f in dim) for dim in source.dims]
    if any(len(group) > 1 and any(looked_up[d] for d in group) for group in groups):
        source = state.materialized(source)
    state.values[op.results[0]] = collapsed(source, groups)


def import_expand(state: ImportState, op: ir.Operation) -> None:
    """``tensor.expand_shape``: a view, unless a gathered dimension is cut."""
    source, groups, shape = state.values[op.operands[0]], _groups(op), _shape(op.results[0])
    view = expanded(source, groups, shape)
    if view is None:
        view = expanded(state.materialized(source), groups, shape)
    assert view is not None
    state.values[op.results[0]] = view


def import_transpose(state: ImportState, op: ir.Operation) -> None:
    """``linalg.transpose``: a view."""
    permutation = list(ir.DenseI64ArrayAttr(op.attributes["permutation"]))
    state.values[op.results[0]] = permuted(state.values[op.operands[0]], permutation)


def import_broadcast(state: ImportState, op: ir.Operation) -> None:
    """``linalg.broadcast``: a copy in which the new dimensions repeat what there is."""
    result, source = state.new_value(op.results[0]), state.values[op.operands[0]]
    added = list(ir.DenseI64ArrayAttr(op.attributes["dimensions"]))
    given = iter(source.dims)
    dims = tuple(
        (Factor(extent, 0),) if d in added else next(given) for d, extent in enumerate(result.shape)
    )
    state.copy(View(source.buffer, source.offset, dims), result)
    state.values[op.results[0]] = result


def import_extract_slice(state: ImportState, op: ir.Operation) -> None:
    """``tensor.extract_slice``: a view."""
    view, shape = _sub_view(state, state.values[op.operands[0]], op), _shape(op.results[0])
    if len(shape) < len(view.dims) and any(f.extent == 1 for f in view.index_factors):
        view = state.materialized(view)
    state.values[op.results[0]] = _drop_units(view, shape)


def _box(op: ir.Operation) -> list[list[int]]:
    """Offsets, sizes and strides of a slice."""
    return [_static(op, f"static_{name}") for name in ("offsets", "sizes", "strides")]


def _sub_view(state: ImportState, source: View, op: ir.Operation) -> View:
    view = sliced(source, *_box(op))
    if view is None:
        view = sliced(state.materialized(source), *_box(op))
    assert view is not None
    return view


def _drop_units(view: View, shape: list[int]) -> View:
    """Removes unit dimensions until `view` has `shape`."""
    dims = list(view.dims)
    position = 0
    while len(dims) > len(shape):
        same = position < len(shape) and View(view.buffer, 0, (dims[position],)).shape == (
            shape[position],
        )
        if same and len(dims) - position > 1 and shape[position] != 1:
            position += 1
        elif View(view.buffer, 0, (dims[position],)).shape == (1,):
            del dims[position]
        else:
            position += 1
    return View(view.buffer, view.offset, tuple(dims))


def import_insert_slice(state: ImportState, op: ir.Operation) -> None:
    """``tensor.insert_slice``: in place in an argument's memory, else into a copy."""
    source, target = state.values[op.operands[0]], state.values[op.operands[1]]
    if op.results[0] in state.in_place:
        part = sliced(target, *_box(op))
        if part is None:
            raise UserError("'tensor.insert_slice' into a reshaped parameter is not supported")
        region = _fit(part, source)
        if region.elements != part.elements or region.index_factors != part.index_factors:
            raise UserError("'tensor.insert_slice' of fewer dimensions is not supported here")
        state.written.add(id(target.buffer))
        state.ops.append(Store(state.origin, state.direct(source), region))
        state.values[op.results[0]] = target
        return
    result = _writable(state, op.operands[1], op.results[0])
    state.copy(source, _fit(_sub_view(state, result, op), source))
    state.values[op.results[0]] = result


def _fit(region: View, source: View) -> View:
    """`region` without the unit dimensions that a rank-reduced source lacks."""
    return _drop_units(region, list(source.shape))


def _writable(state: ImportState, target: ir.Value, result: ir.Value) -> View:
    """Memory that holds `target` and may be written: its own if nobody else reads it."""
    view = state.values[target]
    owner = target.owner
    ours = not isinstance(owner, ir.Block) and owner.operation.name == "tensor.insert_slice"
    if ours and view.buffer.kind == "value" and len(list(target.uses)) == 1:
        return view
    fresh = state.new_value(result)
    if isinstance(owner, ir.Block) or owner.operation.name != "tensor.empty":
        state.copy(view, fresh)
    return fresh


def import_concat(state: ImportState, op: ir.Operation) -> None:
    """``tensor.concat``: a copy of every part."""
    result = state.new_value(op.results[0])
    dim = ir.IntegerAttr(op.attributes["dim"]).value
    offsets = [0] * len(result.dims)
    for operand in op.operands:
        part = state.values[operand]
        region = sliced(result, offsets, list(part.shape), [1] * len(offsets))
        assert region is not None
        state.copy(part, region)
        offsets[dim] += part.shape[dim]
    state.values[op.results[0]] = result


def import_pad(state: ImportState, op: ir.Operation) -> None:
    """``tensor.pad`` by a constant: a fill and a copy."""
    block = op.regions[0].blocks[0]
    operations = [inner.operation for inner in block.operations]
    number = operations[-1].operands[0].owner
    if isinstance(number, ir.Block) or number.operation.name != "arith.constant":
        raise UserError("'tensor.pad' with a computed value is not supported")
    low, high = _static(op, "static_low"), _static(op, "static_high")
    if min([*low, *high], default=0) < 0:
        raise UserError("'tensor.pad' by negative numbers is not supported")
    result = state.new_value(op.results[0])
    dtype = element_type(op.results[0].type)
    fill = state.splat(constant_number(number.operation), dtype, _shape(op.results[0]))
    state.copy(fill, result)
    source = state.values[op.operands[0]]
    region = sliced(result, low, list(source.shape), [1] * len(low))
    assert region is not None
    state.copy(source, region)
    state.values[op.results[0]] = result


def import_extract(state: ImportState, op: ir.Operation) -> None:
    """``tensor.extract`` outside a loop: the scalar stays in memory as a 0-d tensor."""
    view = state.values[op.operands[0]]
    if view.index_factors:
        view = state.materialized(view)
    offset = view.offset
    for index, dim in zip(list(op.operands)[1:], view.dims, strict=True):
        owner, stride = index.owner, dim[-1].stride
        if isinstance(owner, ir.Block) or owner.operation.name != "arith.constant" or len(dim) > 1:
            raise UserError("'tensor.extract' at a computed position is not supported")
        offset += int(constant_number(owner.operation)) * stride
    state.values[op.results[0]] = View(view.buffer, offset, ())


def import_from_elements(state: ImportState, op: ir.Operation) -> None:
    """``tensor.from_elements`` of scalars that stand in memory or are constants."""
    result = state.new_value(op.results[0])
    flat = whole(result.buffer, (result.elements,))
    for position, operand in enumerate(op.operands):
        region = sliced(flat, [position], [1], [1])
        assert region is not None
        if operand in state.values:
            source = state.values[operand]
        else:
            number = constant_number(operand.owner.operation)
            source = state.splat(number, result.buffer.dtype, ())
        state.copy(View(source.buffer, source.offset, ()), View(region.buffer, region.offset, ()))
    state.values[op.results[0]] = result
