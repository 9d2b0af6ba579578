"""Rules for operations that rearrange tensors: reshapes, slices, concatenations, padding."""

from __future__ import annotations

from collections.abc import Sequence

from ssft.compiler.analysis.axes.builder import AxisBuilder
from ssft.compiler.analysis.axes.positions import constant_position, regroup
from ssft.dialects._mlir import ir


def constant(builder: AxisBuilder, op: ir.Operation) -> None:
    """``arith.constant``: data that is not a splat has places of its own."""
    value, result = op.attributes["value"], op.results[0]
    shape = builder.shape(result)
    if not shape:
        return
    builder.set_position(result, constant_position(value, shape))
    if isinstance(value, ir.DenseElementsAttr) and ir.DenseElementsAttr(value).is_splat:
        builder.define_alike(result)
    else:
        builder.pin(result, "constant data")


def uniform(builder: AxisBuilder, op: ir.Operation) -> None:
    """``tensor.empty``, ``linalg.fill``, ``tensor.splat``: all elements are equal."""
    for result in op.results:
        builder.define_alike(result)


def elementwise(builder: AxisBuilder, op: ir.Operation) -> None:
    """Operations of ``arith`` and ``math`` on whole tensors, and casts of the element type."""
    tensors = [value for value in op.operands if builder.shape(value)]
    for result in op.results:
        if not builder.shape(result):
            continue
        nodes: list[int | None] = [None] * len(builder.shape(result) or ())
        for value in tensors:
            flags = builder.alike(value)
            for d, (node, alike) in enumerate(zip(builder.dimensions(value), flags, strict=True)):
                known = nodes[d]
                if alike:
                    continue
                if known is None:
                    nodes[d] = node
                else:
                    builder.forest.unify(known, node)
        builder.define(result, nodes)


def reassociate(builder: AxisBuilder, op: ir.Operation) -> None:
    """``tensor.expand_shape`` and ``tensor.collapse_shape``: a dimension is a product of others."""
    source, result = op.operands[0], op.results[0]
    forest = builder.forest
    groups = [
        [ir.IntegerAttr(i).value for i in ir.ArrayAttr(group)]
        for group in ir.ArrayAttr(op.attributes["reassociation"])
    ]
    collapse = op.name == "tensor.collapse_shape"
    fine_shape = builder.shape(source if collapse else result) or ()
    builder.set_position(
        result, regroup(builder.position(source), groups, fine_shape, collapse=collapse)
    )
    nodes, alike = builder.dimensions(source), builder.alike(source)
    if collapse:
        builder.define(
            result,
            [
                None if all(alike[i] for i in group) else forest.product(nodes[i] for i in group)
                for group in groups
            ],
        )
        return
    fine: list[int | None] = [None] * len(fine_shape)
    for whole, same, group in zip(nodes, alike, groups, strict=False):
        if same:
            continue
        split = [forest.new(fine_shape[i]) for i in group]
        forest.unify(whole, forest.product(split))
        for i, node in zip(group, split, strict=True):
            fine[i] = node
    builder.define(result, fine)


def reshape(builder: AxisBuilder, op: ir.Operation) -> None:
    """``tensor.reshape``: the same elements in row-major order."""
    source, result = op.operands[0], op.results[0]
    if builder.is_alike(source):
        builder.define_alike(result)
        return
    forest = builder.forest
    forest.unify(
        forest.product(builder.dimensions(source)), forest.product(builder.dimensions(result))
    )


def extract_slice(builder: AxisBuilder, op: ir.Operation) -> None:
    """``tensor.extract_slice`` at static offsets: each dimension is cut at the slice's ends."""
    source, result = op.operands[0], op.results[0]
    parts = _window(builder, op, source)
    if parts is None:
        builder.pin(source, "sliced at a computed position")
        builder.pin(result, "sliced at a computed position")
        return
    alike = builder.alike(source)
    nodes = [None if same else part for part, same in zip(parts, alike, strict=True)]
    sizes = [builder.forest.size(part) for part in parts]
    builder.define(result, _without_units(nodes, sizes, builder.shape(result) or ()))


def insert_slice(builder: AxisBuilder, op: ir.Operation) -> None:
    """``tensor.insert_slice``: as extract_slice, and the result has the target's dimensions."""
    source, target = op.operands[0], op.operands[1]
    result = op.results[0]
    shape = builder.shape(result) or ()
    # A dimension in which both are alike and all of which is written stays alike.
    window = _static_window(op)
    alike = builder.alike(target)
    nodes = [
        builder.forest.new(size) if same else node
        for node, same, size in zip(builder.dimensions(target), alike, shape, strict=True)
    ]
    builder.define(result, nodes)
    if window is None:
        for value in (source, target, result):
            builder.pin(value, "sliced at a computed position")
        return
    parts = _window(builder, op, result)
    assert parts is not None
    kept = _kept([builder.forest.size(p) for p in parts], builder.shape(source) or ())
    for dim, node in zip(kept, builder.dimensions(source), strict=True):
        if dim is not None:
            builder.forest.unify(parts[dim], node)


def concat(builder: AxisBuilder, op: ir.Operation) -> None:
    """``tensor.concat``: one dimension is the sum of the operands', the others agree."""
    dim = ir.IntegerAttr(op.attributes["dim"]).value
    result = op.results[0]
    rank = len(builder.shape(result) or ())
    nodes: list[int | None] = [None] * rank
    parts = []
    for value in op.operands:
        for d, (node, alike) in enumerate(
            zip(builder.dimensions(value), builder.alike(value), strict=True)
        ):
            known = nodes[d]
            if d == dim:
                parts.append(node)
            elif not alike:
                if known is None:
                    nodes[d] = node
                else:
                    builder.forest.unify(known, node)
    nodes[dim] = builder.forest.sum(parts)
    builder.define(result, nodes)


def pad(builder: AxisBuilder, op: ir.Operation) -> None:
    """``tensor.pad`` by one value: the padding is two more parts of the dimension."""
    source, result = op.operands[0], op.results[0]
    low = list(ir.DenseI64ArrayAttr(op.attributes["static_low"]))
    high = list(ir.DenseI64ArrayAttr(op.attributes["static_high"]))
    block = op.regions[0].blocks[0]
    if len(block.operations) != 1 or len(op.operands) != 1 or _takes_argument(block):
        builder.pin(source, "padded by position")
        builder.pin(result, "padded by position")
        return
    forest = builder.forest
    nodes: list[int | None] = []
    for node, same, below, above in zip(
        builder.dimensions(source), builder.alike(source), low, high, strict=True
    ):
        if below < 0 or above < 0:
            builder.pin(source, "padded by a negative amount")
            builder.pin(result, "padded by a negative amount")
            return
        whole = forest.sum([forest.new(below), node, forest.new(above)])
        nodes.append(None if same and not below and not above else whole)
    builder.define(result, nodes)


def _takes_argument(block: ir.Block) -> bool:
    """True where a block of one operation yields one of its own arguments."""
    value = block.operations[0].operation.operands[0]
    return isinstance(value.owner, ir.Block) and value.owner == block


def cast(builder: AxisBuilder, op: ir.Operation) -> None:
    """``tensor.cast`` between static types."""
    builder.define_like(op.results[0], op.operands[0])


def extract(builder: AxisBuilder, op: ir.Operation) -> None:
    """``tensor.extract`` of one element outside any body."""
    for node, index in zip(builder.dimensions(op.operands[0]), list(op.operands)[1:], strict=True):
        producer = None if isinstance(index.owner, ir.Block) else index.owner.operation
        if producer is not None and producer.name == "arith.constant":
            builder.slice(node, ir.IntegerAttr(producer.attributes["value"]).value, 1)
        else:
            builder.forest.pin(node, "looked up by value")


def _static_window(op: ir.Operation) -> tuple[list[int], list[int], list[int]] | None:
    """Returns offsets, sizes and strides, or None where one of them is computed."""
    dynamic = -(2**63)
    lists = tuple(
        list(ir.DenseI64ArrayAttr(op.attributes[f"static_{key}"]))
        for key in ("offsets", "sizes", "strides")
    )
    return None if any(dynamic in values for values in lists) else lists  # type: ignore[return-value]


def _window(builder: AxisBuilder, op: ir.Operation, whole: ir.Value) -> list[int] | None:
    """Cuts the dimensions of `whole` at the window of a slice operation; returns the parts."""
    window = _static_window(op)
    if window is None:
        return None
    forest = builder.forest
    parts = []
    for node, offset, count, stride in zip(builder.dimensions(whole), *window, strict=True):
        size = forest.size(node)
        if stride == 1 or count == 1:
            parts.append(builder.slice(node, offset, count))
        elif count * stride == size and offset < stride:
            # Every `stride`-th index: one index of the minor factor.
            rows, lane = forest.new(count), forest.new(stride)
            forest.unify(node, forest.product([rows, lane]))
            builder.slice(lane, offset, 1)
            parts.append(rows)
        else:
            forest.pin(node, "sliced with a stride")
            part = forest.new(count)
            forest.pin(part, "sliced with a stride")
            parts.append(part)
    return parts


def _kept(sizes: Sequence[int], shape: Sequence[int]) -> list[int | None]:
    """Maps the dimensions of a rank-reduced slice to those of its window; None for size 1."""
    large = [d for d, size in enumerate(sizes) if size != 1]
    positions = iter(large)
    return [None if size == 1 else next(positions) for size in shape]


def _without_units(
    nodes: Sequence[int | None], sizes: Sequence[int], shape: Sequence[int]
) -> list[int | None]:
    return [None if d is None else nodes[d] for d in _kept(sizes, shape)]
