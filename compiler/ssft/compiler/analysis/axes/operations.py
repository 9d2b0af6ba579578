"""Rules for operations that look up, scatter or update by index, and the table of all rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ssft.compiler.analysis.axes import structural
from ssft.compiler.analysis.axes.builder import AxisBuilder
from ssft.dialects._mlir import ir

Rule = Callable[[AxisBuilder, ir.Operation], None]


def gather(builder: AxisBuilder, op: ir.Operation) -> None:
    """``ssft.gather``: `dim` is looked up by value, its place in the result is the index list's."""
    source, indices = op.operands
    _by_index(builder, source, indices, op.results[0], _integer(op, "dim"))


def scatter(builder: AxisBuilder, op: ir.Operation) -> None:
    """``ssft.scatter`` and ``ssft.scatter_add``: `dim` of the target is looked up by value."""
    dest, indices, updates = op.operands
    # The result stands for the target, whose alike dimensions have a fresh node at each use.
    builder.unify_values(dest, op.results[0])
    _by_index(builder, op.results[0], indices, updates, _integer(op, "dim"))


def _by_index(
    builder: AxisBuilder, whole: ir.Value, indices: ir.Value, part: ir.Value, dim: int
) -> None:
    """Claims that `part` is `whole` with dimension `dim` replaced by the one of `indices`."""
    count = (builder.shape(indices) or (0,))[0]
    position = builder.position(indices)
    for d, (a, b) in enumerate(
        zip(builder.dimensions(whole), builder.dimensions(part), strict=True)
    ):
        window = builder.window(a, position, count) if d == dim else None
        if window is not None:
            builder.forest.unify(window, b)
        elif d == dim:
            builder.forest.pin(a, "looked up by value")
            builder.forest.unify(b, builder.dimensions(indices)[0])
        else:
            builder.forest.unify(a, b)


def save_slice(builder: AxisBuilder, op: ir.Operation) -> None:
    """``ssft.save_slice``: an extract_slice along one dimension."""
    source, result = op.operands[0], op.results[0]
    dim, offset, size = (_integer(op, key) for key in ("dim", "offset", "size"))
    alike = builder.alike(source)
    nodes: list[int | None] = [
        None if same else builder.slice(node, offset, size) if d == dim else node
        for d, (node, same) in enumerate(zip(builder.dimensions(source), alike, strict=True))
    ]
    builder.define(result, nodes)


def weight_grad(builder: AxisBuilder, op: ir.Operation) -> None:
    """``ssft.weight_grad``: a contraction over all dimensions but the last."""
    lhs, rhs = (builder.dimensions(value) for value in op.operands)
    for a, b in zip(lhs[:-1], rhs[:-1], strict=True):
        builder.forest.unify(a, b)
        builder.forest.note(a, "reassociates a sum")
    rows, columns = (builder.alike(value)[-1] for value in op.operands)
    builder.define(op.results[0], [None if rows else lhs[-1], None if columns else rhs[-1]])


def tm_scatter(builder: AxisBuilder, op: ir.Operation) -> None:
    """``tm_tensor.scatter``: update n goes to the window at the position in row n of `indices`."""
    updates, indices, target = op.operands
    result = op.results[0]
    builder.unify_values(target, result)
    whole, part = builder.dimensions(result), builder.dimensions(updates)
    looked_up = set(ir.DenseI64ArrayAttr(op.attributes["dimension_map"]))
    rows, *position = builder.dimensions(indices)
    builder.forest.unify(part[0], rows)
    for node in position:
        builder.forest.pin(node, "coordinates")
    window = [None] * (len(whole) - len(part) + 1) + part[1:]
    for d, (node, inner) in enumerate(zip(whole, window, strict=True)):
        if d in looked_up:
            builder.forest.pin(node, "looked up by value")
        if inner is None:
            continue
        if builder.forest.size(node) == builder.forest.size(inner):
            builder.forest.unify(node, inner)
        else:
            builder.forest.pin(node, "written in part")
            builder.forest.pin(inner, "written in part")


def _integer(op: ir.Operation, key: str) -> int:
    return ir.IntegerAttr(op.attributes[key]).value


def _nothing(builder: AxisBuilder, op: ir.Operation) -> None:
    """Nothing to say about dimensions."""


RULES: Mapping[str, Rule] = {
    "arith.constant": structural.constant,
    "tensor.empty": structural.uniform,
    "tensor.splat": structural.uniform,
    "linalg.fill": structural.uniform,
    "tensor.cast": structural.cast,
    "tensor.expand_shape": structural.reassociate,
    "tensor.collapse_shape": structural.reassociate,
    "tensor.reshape": structural.reshape,
    "tensor.extract_slice": structural.extract_slice,
    "tensor.insert_slice": structural.insert_slice,
    "tensor.concat": structural.concat,
    "tensor.pad": structural.pad,
    "tensor.extract": structural.extract,
    "tensor.dim": _nothing,
    "tm_tensor.scatter": tm_scatter,
    "ssft.barrier": structural.cast,
    "ssft.gather": gather,
    "ssft.scatter": scatter,
    "ssft.scatter_add": scatter,
    "ssft.save_slice": save_slice,
    "ssft.weight_grad": weight_grad,
    "ssft.update": structural.elementwise,
    "func.return": _nothing,
}
"""Rules by operation; structured ``linalg`` operations and ``arith``/``math`` are known by kind."""
