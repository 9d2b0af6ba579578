"""Builds the operations that take tiles out of tensors and put them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.tiles import Indices, Listed, Range
from ssft.compiler.tiles import Selector as PlainSelector
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class Lookup:
    """The `size` positions that `indices`, a ``tensor<kxi64>``, holds when the step runs."""

    indices: ir.Value
    size: int


Selector = Range | Indices | Lookup | None
"""What is taken of a dimension; None is all of it."""

Selectors = tuple[Selector, ...]


def bind(selectors: Sequence[PlainSelector], lists: Mapping[str, ir.Value]) -> Selectors:
    """Returns the selectors with index lists, which they name, as values."""
    return tuple(
        Lookup(lists[selector.name], selector.size) if isinstance(selector, Listed) else selector
        for selector in selectors
    )


def tensor_type(shape: Sequence[int], like: ir.Value) -> ir.RankedTensorType:
    """Returns a tensor type of `shape` with the element type of `like`."""
    return ir.RankedTensorType.get(list(shape), ir.RankedTensorType(like.type).element_type)


def empty(shape: Sequence[int], like: ir.Value) -> ir.Value:
    """Builds ``tensor.empty``."""
    return ir.Operation.create("tensor.empty", results=[tensor_type(shape, like)]).result


def zeros(like: ir.Value) -> ir.Value:
    """Builds a constant of zeros of the type of `like`, a tensor of floats."""
    element = ir.FloatAttr.get(ir.RankedTensorType(like.type).element_type, 0.0)
    value = ir.DenseElementsAttr.get_splat(like.type, element)
    return ir.Operation.create(
        "arith.constant", results=[like.type], attributes={"value": value}
    ).result


def _dense_i64(values: Sequence[int]) -> ir.Attribute:
    return ir.DenseI64ArrayAttr.get(list(values))


def _slice_attributes(
    offsets: Sequence[int], sizes: Sequence[int], segments: Sequence[int]
) -> dict:
    return {
        "static_offsets": _dense_i64(offsets),
        "static_sizes": _dense_i64(sizes),
        "static_strides": _dense_i64([1] * len(sizes)),
        "operandSegmentSizes": ir.DenseI32ArrayAttr.get(list(segments)),
    }


def extract_slice(source: ir.Value, offsets: Sequence[int], sizes: Sequence[int]) -> ir.Value:
    """Builds ``tensor.extract_slice`` with unit strides."""
    return ir.Operation.create(
        "tensor.extract_slice",
        results=[tensor_type(sizes, source)],
        operands=[source],
        attributes=_slice_attributes(offsets, sizes, [1, 0, 0, 0]),
    ).result


def insert_slice(part: ir.Value, dest: ir.Value, offsets: Sequence[int]) -> ir.Value:
    """Builds ``tensor.insert_slice`` with unit strides."""
    return ir.Operation.create(
        "tensor.insert_slice",
        results=[dest.type],
        operands=[part, dest],
        attributes=_slice_attributes(offsets, step_ir.shape_of(part) or [], [1, 1, 0, 0, 0]),
    ).result


def index_constant(positions: Sequence[int]) -> ir.Value:
    """Builds a constant ``tensor<kxi64>``."""
    i64 = ir.IntegerType.get_signless(64)
    type_ = ir.RankedTensorType.get([len(positions)], i64)
    elements = [ir.IntegerAttr.get(i64, position) for position in positions]
    return ir.Operation.create(
        "arith.constant",
        results=[type_],
        attributes={"value": ir.DenseElementsAttr.get(elements, type_)},
    ).result


def gather(source: ir.Value, dim: int, chosen: Indices | Lookup) -> ir.Value:
    """Builds ``ssft.gather`` of positions of dimension `dim`."""
    shape = list(step_ir.shape_of(source) or [])
    shape[dim] = chosen.size
    return ir.Operation.create(
        "ssft.gather",
        results=[tensor_type(shape, source)],
        operands=[source, _indices(chosen)],
        attributes={"dim": step_ir.i64(dim)},
    ).result


def scatter(dest: ir.Value, dim: int, chosen: Indices | Lookup, part: ir.Value) -> ir.Value:
    """Builds ``ssft.scatter`` to positions of dimension `dim`."""
    return ir.Operation.create(
        "ssft.scatter",
        results=[dest.type],
        operands=[dest, _indices(chosen), part],
        attributes={"dim": step_ir.i64(dim)},
    ).result


def _indices(chosen: Indices | Lookup) -> ir.Value:
    return chosen.indices if isinstance(chosen, Lookup) else index_constant(chosen.positions)


def take(source: ir.Value, selectors: Sequence[Selector]) -> ir.Value:
    """Builds the slice of `source` that `selectors` (one per dimension) name.

    What is alike everywhere (``tensor.empty``, ``linalg.fill``) is made at the slice's size.
    """
    if all(selector is None for selector in selectors):
        return source
    shape = step_ir.shape_of(source) or []
    sizes = [n if s is None else s.size for s, n in zip(selectors, shape, strict=True)]
    producer = step_ir.owner(source)
    if producer is not None and producer.name == "tensor.empty":
        return empty(sizes, source)
    if producer is not None and producer.name == "linalg.fill":
        return fill(producer.operands[0], empty(sizes, source))
    if any(isinstance(selector, Range) for selector in selectors):
        offsets = [s.offset if isinstance(s, Range) else 0 for s in selectors]
        kept = [
            s.size if isinstance(s, Range) else n for s, n in zip(selectors, shape, strict=True)
        ]
        source = extract_slice(source, offsets, kept)
    for dim, selector in enumerate(selectors):
        if isinstance(selector, Indices | Lookup):
            source = gather(source, dim, selector)
    return source


def put(dest: ir.Value, part: ir.Value, selectors: Sequence[Selector]) -> ir.Value:
    """Builds `dest` with the slice that `selectors` name replaced by `part`."""
    for dim, selector in enumerate(selectors):
        if isinstance(selector, Indices | Lookup):
            rest = [None if d == dim else s for d, s in enumerate(selectors)]
            if any(s is not None for s in rest):
                only = [selector if d == dim else None for d in range(len(rest))]
                part = put(take(dest, only), part, rest)
            return scatter(dest, dim, selector, part)
    if all(selector is None for selector in selectors):
        return part
    offsets = [s.offset if isinstance(s, Range) else 0 for s in selectors]
    return insert_slice(part, dest, offsets)


def fill(scalar: ir.Value, init: ir.Value) -> ir.Value:
    """Builds ``linalg.fill``."""
    op = ir.Operation.create(
        "linalg.fill",
        results=[init.type],
        operands=[scalar, init],
        attributes={"operandSegmentSizes": ir.DenseI32ArrayAttr.get([1, 1])},
        regions=1,
    )
    element = scalar.type
    block = op.regions[0].blocks.append(element, element)
    with ir.InsertionPoint(block):
        ir.Operation.create("linalg.yield", operands=[block.arguments[0]])
    return op.result


def transpose(source: ir.Value, permutation: Sequence[int]) -> ir.Value:
    """Builds ``linalg.transpose``."""
    shape = step_ir.shape_of(source) or []
    init = empty([shape[i] for i in permutation], source)
    op = ir.Operation.create(
        "linalg.transpose",
        results=[init.type],
        operands=[source, init],
        attributes={"permutation": _dense_i64(permutation)},
        regions=1,
    )
    element = ir.RankedTensorType(source.type).element_type
    block = op.regions[0].blocks.append(element, element)
    with ir.InsertionPoint(block):
        ir.Operation.create("linalg.yield", operands=[block.arguments[0]])
    return op.result
