"""Builders of linalg, tensor and scf operations at the current insertion point and location.

They create operations by name: importing the upstream Python classes of ``linalg`` pulls in numpy,
which costs `ssft-opt` a third of its start-up time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ssft.dialects._mlir import ir

Body = Callable[..., Sequence[ir.Value]]


def op(
    name: str,
    results: Sequence[ir.Type],
    operands: Sequence[ir.Value] = (),
    regions: int = 0,
    **attributes: ir.Attribute,
) -> ir.Operation:
    """Creates the operation `name`."""
    return ir.Operation.create(
        name, list(results), list(operands), attributes=attributes, regions=regions
    )


def empty(type_: ir.RankedTensorType) -> ir.Value:
    """``tensor.empty`` of `type_`."""
    return op("tensor.empty", [type_]).result


def index(value: int) -> ir.Value:
    """A constant of type ``index``."""
    type_ = ir.IndexType.get()
    return op("arith.constant", [type_], value=ir.IntegerAttr.get(type_, value)).result


def zero(type_: ir.Type) -> ir.Value:
    """The zero of a floating-point or integer type."""
    make = ir.FloatAttr.get if isinstance(type_, ir.FloatType) else ir.IntegerAttr.get
    return op("arith.constant", [type_], value=make(type_, 0)).result


def to_index(value: ir.Value) -> ir.Value:
    """``arith.index_cast`` of an integer to ``index``."""
    return op("arith.index_cast", [ir.IndexType.get()], [value]).result


def extract(tensor: ir.Value, positions: Sequence[ir.Value]) -> ir.Value:
    """``tensor.extract`` of one element."""
    return op("tensor.extract", [tensor.type.element_type], [tensor, *positions]).result


def extract_slice(
    source: ir.Value, dim: int, offset: int | ir.Value, type_: ir.RankedTensorType
) -> ir.Value:
    """``tensor.extract_slice`` that narrows `source` to `type_`, from `offset` on along `dim`."""
    dynamic = [] if isinstance(offset, int) else [offset]
    attributes = _slice_attributes(dim, offset, type_.shape, [1, len(dynamic), 0, 0])
    operands = [source, *dynamic]
    return op("tensor.extract_slice", [type_], operands, regions=0, **attributes).result


def insert_slice(slice_: ir.Value, dest: ir.Value, dim: int, offset: int | ir.Value) -> ir.Value:
    """``tensor.insert_slice`` of `slice_` into `dest`, from `offset` on along `dim`."""
    dynamic = [] if isinstance(offset, int) else [offset]
    attributes = _slice_attributes(dim, offset, slice_.type.shape, [1, 1, len(dynamic), 0, 0])
    operands = [slice_, dest, *dynamic]
    return op("tensor.insert_slice", [dest.type], operands, regions=0, **attributes).result


def _slice_attributes(
    dim: int, offset: int | ir.Value, sizes: Sequence[int], segments: Sequence[int]
) -> dict[str, ir.Attribute]:
    offsets = [0] * len(sizes)
    offsets[dim] = offset if isinstance(offset, int) else ir.ShapedType.get_dynamic_size()
    return {
        "static_offsets": ir.DenseI64ArrayAttr.get(offsets),
        "static_sizes": ir.DenseI64ArrayAttr.get(list(sizes)),
        "static_strides": ir.DenseI64ArrayAttr.get([1] * len(sizes)),
        "operandSegmentSizes": ir.DenseI32ArrayAttr.get(list(segments)),
    }


def collapse_leading(tensor: ir.Value) -> ir.Value:
    """``tensor.collapse_shape`` of all dimensions but the last into one."""
    type_ = tensor.type
    if type_.rank == 2:
        return tensor
    i64 = ir.IntegerType.get_signless(64)
    groups = [range(type_.rank - 1), [type_.rank - 1]]
    tokens = 1
    for size in type_.shape[:-1]:
        tokens *= size
    flat = ir.RankedTensorType.get([tokens, type_.shape[-1]], type_.element_type)
    reassociation = ir.ArrayAttr.get(
        [ir.ArrayAttr.get([ir.IntegerAttr.get(i64, d) for d in group]) for group in groups]
    )
    return op("tensor.collapse_shape", [flat], [tensor], reassociation=reassociation).result


def structured(
    name: str,
    inputs: Sequence[ir.Value],
    outputs: Sequence[ir.Value],
    body: Body,
    **attributes: ir.Attribute,
) -> ir.Operation:
    """A linalg operation `name`; `body` maps elements of inputs and outputs to what it yields."""
    operands = [*inputs, *outputs]
    result = op(
        name,
        [value.type for value in outputs],
        operands,
        regions=1,
        operandSegmentSizes=ir.DenseI32ArrayAttr.get([len(inputs), len(outputs)]),
        **attributes,
    )
    elements = [_element_type(value) for value in operands]
    locations = [ir.Location.current] * len(elements)
    block = result.regions[0].blocks.append(*elements, arg_locs=locations)
    with ir.InsertionPoint(block):
        op("linalg.yield", [], body(*block.arguments))
    return result


def generic(
    inputs: Sequence[ir.Value],
    outputs: Sequence[ir.Value],
    body: Body,
    maps: Sequence[ir.AffineMap] | None = None,
) -> ir.Operation:
    """``linalg.generic`` over the elements of `outputs`; maps default to identities."""
    rank = outputs[0].type.rank
    maps = maps or [ir.AffineMap.get_identity(rank)] * (len(inputs) + len(outputs))
    parallel = ir.Attribute.parse("#linalg.iterator_type<parallel>")
    return structured(
        "linalg.generic",
        inputs,
        outputs,
        body,
        indexing_maps=ir.ArrayAttr.get([ir.AffineMapAttr.get(map_) for map_ in maps]),
        iterator_types=ir.ArrayAttr.get([parallel] * rank),
    )


def fill_with_zero(type_: ir.RankedTensorType) -> ir.Value:
    """``linalg.fill`` of a fresh tensor."""
    value = zero(type_.element_type)
    return structured("linalg.fill", [value], [empty(type_)], lambda new, old: [new]).result


def copy(source: ir.Value, dest: ir.Value) -> ir.Value:
    """``linalg.copy`` of `source` into `dest`."""
    return structured("linalg.copy", [source], [dest], lambda new, old: [new]).result


def materialize(source: ir.Value) -> ir.Value:
    """``bufferization.alloc_tensor`` with a copy of `source`.

    A ``linalg.copy`` of all of a tensor is folded to its source.
    """
    segments = ir.DenseI32ArrayAttr.get([0, 1, 0])
    return op(
        "bufferization.alloc_tensor", [source.type], [source], operandSegmentSizes=segments
    ).result


def loop(count: int, carried: ir.Value, body: Callable[[ir.Value, ir.Value], ir.Value]) -> ir.Value:
    """``scf.for`` from 0 to `count`; `body` maps index and carried value to the next value."""
    bounds = [index(0), index(count), index(1)]
    result = op("scf.for", [carried.type], [*bounds, carried], regions=1)
    where = [ir.Location.current] * 2
    block = result.regions[0].blocks.append(ir.IndexType.get(), carried.type, arg_locs=where)
    with ir.InsertionPoint(block):
        op("scf.yield", [], [body(*block.arguments)])
    return result.result


def _element_type(value: ir.Value) -> ir.Type:
    type_ = value.type
    return type_.element_type if isinstance(type_, ir.RankedTensorType) else type_
