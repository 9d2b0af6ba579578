"""Legal values of integer inputs that select rows or classes.

The generated code has no bounds checks, so every tensor that is used as an index must be known to
be in range. Starting at each indexing operation, the index is followed back through operations that
only move or copy its elements. Where that ends in a batch input, the input gets the range, and the
runtime checks it; where it ends in a constant or a buffer, the values are checked here; anything
else is clamped, which is memory-safe and changes nothing for programs that PyTorch accepts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from ssft.compiler.diagnostics import UserError
from ssft.compiler.frontend.locations import source_location
from ssft.compiler.frontend.loss_module import is_fake
from ssft.compiler.frontend.signature import Argument
from torch import Tensor, fx

aten = torch.ops.aten

# Operations whose result holds only elements of their first argument.
_MOVES = {
    aten.view,
    aten._unsafe_view,
    aten.reshape,
    aten.slice,
    aten.select,
    aten.unsqueeze,
    aten.squeeze,
    aten.expand,
    aten.permute,
    aten.transpose,
    aten.t,
    aten.clone,
    aten.alias,
    aten.detach,
    aten.contiguous,
    aten.lift_fresh_copy,
    aten.lift_fresh,
    aten._to_copy,
    aten.as_strided,
    aten.flip,
    aten.repeat,
    aten.index_select,
    aten.unfold,
    aten.split,
    aten.roll,
}

# Operations of the form (tensor, dim, index, ...).
_INDEXED_ALONG = {
    aten.gather,
    aten.index_select,
    aten.index_add,
    aten.scatter,
    aten.scatter_add,
}


@dataclass(frozen=True)
class IndexUse:
    """The tensor argument number `operand` of `node` selects one of `size` entries.

    `negative` entries count from the end; `ignore` is one further legal value (labels only).
    """

    node: fx.Node
    index: fx.Node
    size: int
    negative: bool = False
    ignore: int | None = None

    def accepts(self, low: int, high: int) -> bool:
        """Tells whether all integers from `low` to `high` are legal."""
        bottom = -self.size if self.negative else 0
        return (bottom <= low and high < self.size) or low == high == self.ignore


def _uses(graph: fx.Graph) -> Iterator[IndexUse]:
    for node in graph.nodes:
        if node.op != "call_function":
            continue
        packet = getattr(node.target, "overloadpacket", None)
        args = node.args
        if packet is aten.embedding:
            yield IndexUse(node, args[1], _size(args[0], 0))
        elif packet in (aten.nll_loss_forward, aten.nll_loss2d_forward):
            classes = _size(args[0], 0 if args[0].meta["val"].dim() == 1 else 1)
            yield IndexUse(node, args[1], classes, ignore=args[4])
        elif packet in _INDEXED_ALONG:
            yield IndexUse(node, args[2], _size(args[0], args[1]))
        elif packet in (aten.index, aten.index_put, aten._unsafe_index, aten._unsafe_index_put):
            for dim, index in enumerate(args[1]):
                if index is not None and not _is_mask(index):
                    yield IndexUse(node, index, _size(args[0], dim), negative=True)


def _size(node: fx.Node, dim: int) -> int:
    shape = node.meta["val"].shape
    return int(shape[dim]) if shape else 1


def _is_mask(node: fx.Node) -> bool:
    return node.meta["val"].dtype in (torch.bool, torch.uint8)


def guard_indices(graph: fx.Graph, arguments: Sequence[Argument], values: Sequence[Tensor]) -> None:
    """Derives `value_range` and `ignore` of batch arguments and clamps indices of other origin.

    `arguments` and `values` match the placeholders of `graph`. Raises `UserError` if two uses of an
    input contradict each other, or if a buffer's values are out of range.
    """
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    known = dict(zip(placeholders, zip(arguments, values, strict=True), strict=True))
    clamped: dict[tuple[fx.Node, int], fx.Node] = {}
    for use in list(_uses(graph)):
        origins = list(_origins(use.index))
        if all(_settled(origin, use, known) for origin in origins):
            for origin in origins:
                if isinstance(origin, fx.Node) and origin in known:
                    _restrict(known[origin][0], use)
        elif use.ignore is None:
            key = (use.index, use.size)
            if key not in clamped:
                with graph.inserting_before(use.node):
                    clamped[key] = _clamp(graph, use)
            use.node.replace_input_with(use.index, clamped[key])


def _clamp(graph: fx.Graph, use: IndexUse) -> fx.Node:
    low = -use.size if use.negative else 0
    node = graph.call_function(aten.clamp.default, (use.index, low, use.size - 1))
    node.meta = dict(use.node.meta)
    node.meta["val"] = use.index.meta["val"]
    return node


def _origins(index: fx.Node) -> Iterator[fx.Node | int]:
    """Yields where the elements of `index` come from: nodes, or integers put in as filling."""
    stack, seen = [index], set()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        packet = getattr(node.target, "overloadpacket", None)
        if packet in _MOVES:
            stack.append(node.args[0])
        elif packet is aten.constant_pad_nd:
            stack.append(node.args[0])
            yield int(node.args[2]) if len(node.args) > 2 else 0
        elif packet is aten.cat:
            stack.extend(node.args[0])
        elif packet is aten.where and all(isinstance(arg, fx.Node) for arg in node.args[1:]):
            stack.extend(node.args[1:])
        elif packet is aten.full:
            yield int(node.args[1])
        else:
            yield node


def _settled(
    origin: fx.Node | int, use: IndexUse, known: dict[fx.Node, tuple[Argument, Tensor]]
) -> bool:
    """Tells whether the values of `origin` are legal or will be checked by the runtime."""
    if isinstance(origin, int):
        return use.accepts(origin, origin)
    if origin in known:
        argument, value = known[origin]
        if argument.role == "input":
            return not value.is_floating_point()
        return argument.role == "frozen" and _constant_legal(value, use, argument.name)
    if origin.op == "get_attr":
        value = getattr(origin.graph.owning_module, origin.target)
        return _constant_legal(value, use, "a constant")
    if getattr(origin.target, "overloadpacket", None) is aten.arange:
        bounds = _arange_bounds(origin)
        return bounds is not None and use.accepts(*bounds)
    return False


def _arange_bounds(node: fx.Node) -> tuple[int, int] | None:
    count = node.meta["val"].numel()
    overload = node.target._overloadname
    start = 0 if overload == "default" else node.args[0]
    step = node.args[2] if overload == "start_step" and len(node.args) > 2 else 1
    if count == 0 or not isinstance(start, int) or not isinstance(step, int):
        return None
    last = start + step * (count - 1)
    return min(start, last), max(start, last)


def _constant_legal(value: Tensor, use: IndexUse, name: str) -> bool:
    """Tells whether all values of a tensor known now are legal; unknown values are not."""
    if is_fake(value) or value.is_floating_point() or value.numel() == 0:
        return False
    return use.accepts(int(value.min()), int(value.max()))


def _restrict(argument: Argument, use: IndexUse) -> None:
    if argument.role != "input":
        return
    low, high = (-use.size if use.negative else 0), use.size
    if argument.value_range is not None:
        old_low, old_high = argument.value_range
        low, high = max(low, old_low), min(high, old_high)
        if argument.ignore != use.ignore:
            # One of the two uses does not know the special value.
            argument.ignore = None
    else:
        argument.ignore = use.ignore
    if low >= high:
        raise UserError(
            f"batch entry {argument.name!r} is used as two indices with no common legal value",
            source_location(use.node),
        )
    argument.value_range = (low, high)
