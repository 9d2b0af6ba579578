"""Legal values of integer inputs that select rows or classes.

The generated code has no bounds checks, so every tensor that is used as an index must be known to
be in range. Starting at each indexing operation, the index is followed back through operations that
only move or copy its elements. Where that ends in a batch input, the input gets the range, and the
runtime checks it; where it ends in a constant or a buffer, the values are checked here; anything
else is clamped, which is memory-safe and changes nothing for programs that PyTorch accepts. Labels
of a loss are compared, not used as addresses, and so never clamped.

A range holds for a whole input. Where parts of one input have different ranges (columns of a table
of categories), the parts are clamped instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from ssft.compiler.diagnostics import UserError
from ssft.compiler.frontend.locations import source_location
from ssft.compiler.frontend.loss_module import is_fake
from ssft.compiler.frontend.signature import Argument

aten = torch.ops.aten

# Operations whose result holds all elements of their first argument, and no others.
_MOVES = {
    aten.view,
    aten._unsafe_view,
    aten.reshape,
    aten.unsqueeze,
    aten.squeeze,
    aten.expand,
    aten.permute,
    aten.transpose,
    aten.t,
    aten.clone,
    aten.alias,
    aten.detach,
    aten.lift_fresh_copy,
    aten._to_copy,
    aten.flip,
    aten.repeat,
    aten.roll,
}
# Operations whose result holds some of them.
_SELECTIONS = {aten.slice, aten.select, aten.index_select, aten.unfold, aten.as_strided}
# Operations of the form (tensor, dim, index, ...).
_INDEXED_ALONG = {
    aten.gather,
    aten.index_select,
    aten.index_add,
    aten.scatter,
    aten.scatter_add,
}
_ARG_REDUCTIONS = {aten.argmax, aten.argmin}
# Operations that return (values, indices along the dimension in the second argument).
_WITH_INDICES = {aten.max, aten.min, aten.sort, aten.median, aten.mode}


@dataclass(frozen=True)
class IndexUse:
    """`index` is used by `node` to select one of `size` entries.

    `negative` entries count from the end; `ignore` is one further legal value (labels only).
    """

    node: fx.Node
    index: fx.Node
    size: int
    negative: bool = False
    ignore: int | None = None

    @property
    def bounds(self) -> tuple[int, int]:
        """The legal values as a half-open range, without `ignore`."""
        return (-self.size if self.negative else 0), self.size

    def accepts(self, low: int, high: int) -> bool:
        """Tells whether all integers from `low` to `high`, inclusive, are legal."""
        bottom, top = self.bounds
        return (bottom <= low and high < top) or low == high == self.ignore


@dataclass(frozen=True)
class _Origin:
    """Where elements of an index come from: a node, or a number put in as filling.

    `partial` if only some of the node's elements are used.
    """

    source: fx.Node | int
    partial: bool


def guard_indices(graph: fx.Graph, arguments: Sequence[Argument], values: Sequence[Tensor]) -> None:
    """Derives `value_range` and `ignore` of batch arguments and clamps indices of other origin.

    `arguments` and `values` match the placeholders of `graph`, which is edited. Raises `UserError`
    if two uses of an input contradict each other.
    """
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    known = dict(zip(placeholders, zip(arguments, values, strict=True), strict=True))
    uses = {use: list(_origins(use.index)) for use in _uses(graph)}
    for node, (argument, _) in known.items():
        if argument.role == "input":
            _derive_range(argument, node, uses)
    clamped: dict[tuple[fx.Node, tuple[int, int]], fx.Node] = {}
    for use, origins in uses.items():
        if use.ignore is not None or all(_settled(o.source, use, known) for o in origins):
            continue
        key = (use.index, use.bounds)
        if key not in clamped:
            with graph.inserting_before(use.node):
                clamped[key] = _clamp(graph, use)
        use.node.replace_input_with(use.index, clamped[key])


def _uses(graph: fx.Graph) -> Iterator[IndexUse]:
    for node in graph.nodes:
        if node.op != "call_function":
            continue
        packet, args = _call(node)
        if packet is aten.embedding:
            yield IndexUse(node, args[1], _size(args[0], 0))
        elif packet is aten.embedding_dense_backward:
            yield IndexUse(node, args[1], args[2])
        elif packet in (aten.nll_loss_forward, aten.nll_loss2d_forward):
            classes = _size(args[0], 0 if args[0].meta["val"].dim() == 1 else 1)
            yield IndexUse(node, args[1], classes, ignore=args[4])
        elif packet in _INDEXED_ALONG:
            yield IndexUse(node, args[2], _size(args[0], args[1]))
        elif packet in (aten.index, aten.index_put, aten._unsafe_index, aten._unsafe_index_put):
            for dim, index in enumerate(args[1]):
                if index is not None and not _is_mask(index):
                    yield IndexUse(node, index, _size(args[0], dim), negative=True)


def _call(node: fx.Node) -> tuple[Any, list[Any]]:
    """Returns the ATen operation that `node` calls, without its overload, and the arguments."""
    return getattr(node.target, "overloadpacket", None), list(node.args)


def _size(node: fx.Node, dim: int) -> int:
    shape = node.meta["val"].shape
    return int(shape[dim]) if shape else 1


def _is_mask(node: fx.Node) -> bool:
    return node.meta["val"].dtype in (torch.bool, torch.uint8)


def _origins(index: fx.Node) -> Iterator[_Origin]:
    stack, seen = [(index, False)], set()
    while stack:
        node, partial = stack.pop()
        if (node, partial) in seen:
            continue
        seen.add((node, partial))
        packet, args = _call(node)
        if packet in _MOVES:
            stack.append((args[0], partial))
        elif packet in _SELECTIONS:
            stack.append((args[0], True))
        elif packet is aten.constant_pad_nd:
            stack.append((args[0], partial))
            yield _Origin(int(args[2]) if len(args) > 2 else 0, partial)
        elif packet is aten.cat:
            stack.extend((arg, partial) for arg in args[0])
        elif packet is aten.full:
            yield _Origin(int(args[1]), partial)
        else:
            yield _Origin(node, partial)


def _derive_range(argument: Argument, node: fx.Node, uses: dict[IndexUse, list[_Origin]]) -> None:
    """Sets range and ignored value of one batch input from all its uses as an index."""
    if node.meta["val"].is_floating_point() or _is_mask(node):
        return
    found = [
        (use, origin.partial)
        for use, origins in uses.items()
        for origin in origins
        if origin.source is node
    ]
    deciding = [use for use, partial in found if not partial]
    if not deciding:
        deciding = [use for use, _ in found]
        if len({(use.bounds, use.ignore) for use in deciding}) != 1:
            return
    low = max(use.bounds[0] for use in deciding)
    high = min(use.bounds[1] for use in deciding)
    if low >= high:
        raise UserError(
            f"batch entry {argument.name!r} is used as two indices with no common legal value",
            source_location(deciding[-1].node),
        )
    argument.value_range = (low, high)
    ignored = {use.ignore for use in deciding}
    # If one of the uses does not know the special value, it is not legal.
    argument.ignore = ignored.pop() if len(ignored) == 1 else None


def _settled(
    source: fx.Node | int, use: IndexUse, known: dict[fx.Node, tuple[Argument, Tensor]]
) -> bool:
    """Tells whether the values from `source` are legal or will be checked by the runtime."""
    if isinstance(source, int):
        return use.accepts(source, source)
    if source in known:
        argument, value = known[source]
        if argument.role == "input":
            bounds = argument.value_range
            return bounds is not None and use.accepts(bounds[0], bounds[1] - 1)
        return argument.role == "frozen" and _constant_legal(value, use)
    if source.op == "get_attr":
        return _constant_legal(getattr(source.graph.owning_module, str(source.target)), use)
    bounds = _computed_bounds(source)
    return bounds is not None and use.accepts(*bounds)


def _constant_legal(value: Tensor, use: IndexUse) -> bool:
    """Tells whether all values of a tensor known now are legal; unknown values are not."""
    if is_fake(value) or value.is_floating_point() or value.numel() == 0:
        return False
    return use.accepts(int(value.min()), int(value.max()))


def _computed_bounds(node: fx.Node) -> tuple[int, int] | None:
    """Returns the least and greatest possible value of an integer tensor computed by `node`."""
    packet, args = _call(node)
    if packet is aten.arange:
        return _arange_bounds(node)
    if packet in _ARG_REDUCTIONS:
        source, dim = [*args, None][:2]
        return 0, (source.meta["val"].numel() if dim is None else _size(source, dim)) - 1
    if packet is aten.remainder and isinstance(args[1], int) and args[1] > 0:
        return 0, args[1] - 1
    if packet is aten.clamp and all(isinstance(arg, int) for arg in args[1:]) and len(args) == 3:
        return args[1], args[2]
    producer = args[0] if args else None
    if isinstance(producer, fx.Node) and len(args) == 2 and args[1] == 1:
        packet, args = _call(producer)
        if packet in _WITH_INDICES and len(args) > 1:
            return 0, _size(args[0], args[1]) - 1
        if packet is aten.topk:
            source, _, dim = [*args, -1][:3]
            return 0, _size(source, dim) - 1
    return None


def _arange_bounds(node: fx.Node) -> tuple[int, int] | None:
    count = node.meta["val"].numel()
    overload = getattr(node.target, "_overloadname", "")
    start = 0 if overload == "default" else node.args[0]
    step = node.args[2] if overload == "start_step" and len(node.args) > 2 else 1
    if count == 0 or not isinstance(start, int) or not isinstance(step, int):
        return None
    last = start + step * (count - 1)
    return min(start, last), max(start, last)


def _clamp(graph: fx.Graph, use: IndexUse) -> fx.Node:
    low, high = use.bounds
    node = graph.call_function(aten.clamp.default, (use.index, low, high - 1))
    node.meta = dict(use.node.meta)
    node.meta["val"] = use.index.meta["val"]
    return node
