"""Nodes for the dimensions of every value of the step, and the rules' way to speak about them.

A dimension along which all elements of a value are equal (a splat, a fill, a broadcast) is
**alike**: a permutation along it cannot be seen. It gets a fresh node at each use, since common
subexpression elimination shares such values between places that have nothing to do with each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ssft.compiler.analysis.axes.forest import AxisForest
from ssft.compiler.analysis.axes.positions import Position, Range, Single
from ssft.compiler.diagnostics import UserError
from ssft.dialects._mlir import ir


class AxisBuilder:
    """State of one analysis. Values are known by identity, without keeping handles to them."""

    def __init__(self) -> None:
        self.forest = AxisForest()
        self.unknown: Counter[str] = Counter()
        self._nodes: dict[int, tuple[int | None, ...]] = {}
        self._positions: dict[int, Position] = {}
        self._shapes: dict[ir.Type, tuple[int, ...] | None] = {}

    def shape(self, value: ir.Value) -> tuple[int, ...] | None:
        """Returns the static shape of a tensor value, or None for any other value.

        Raises:
            UserError: the tensor has a dynamic dimension or no rank.
        """
        kind = value.type
        if kind not in self._shapes:
            self._shapes[kind] = _static_shape(kind)
        return self._shapes[kind]

    def dimensions(self, value: ir.Value) -> list[int]:
        """Returns one node per dimension of `value` for one use of it; [] where it is no tensor."""
        shape = self.shape(value)
        if not shape:
            return []
        nodes = self._nodes.get(hash(value))
        if nodes is None:
            nodes = tuple(self.forest.new(size) for size in shape)
            self._nodes[hash(value)] = nodes
        return [
            self.forest.new(size) if node is None else node
            for node, size in zip(nodes, shape, strict=True)
        ]

    def alike(self, value: ir.Value) -> list[bool]:
        """Returns, per dimension, whether all elements along it are equal."""
        shape = self.shape(value) or ()
        nodes = self._nodes.get(hash(value))
        if nodes is None:
            return [size == 1 for size in shape]
        return [node is None or size == 1 for node, size in zip(nodes, shape, strict=True)]

    def is_alike(self, value: ir.Value) -> bool:
        """True where all elements of `value` are equal."""
        return all(self.alike(value))

    def known(self, value: ir.Value) -> bool:
        """True once `value` has been defined or used."""
        return hash(value) in self._nodes

    def define(self, value: ir.Value, nodes: Sequence[int | None]) -> None:
        """Sets the nodes of a result; None stands for an alike dimension."""
        if self.shape(value):
            self._nodes[hash(value)] = tuple(nodes)

    def define_alike(self, value: ir.Value) -> None:
        """Sets a result all of whose elements are equal."""
        self.define(value, [None] * len(self.shape(value) or ()))

    def define_like(self, value: ir.Value, source: ir.Value) -> None:
        """Sets a result with the dimensions of `source`, alike where that is."""
        self.set_position(value, self.position(source))
        nodes = self.dimensions(source)
        self.define(
            value, [None if same else n for n, same in zip(nodes, self.alike(source), strict=True)]
        )

    def position(self, value: ir.Value) -> Position | None:
        """Returns what the elements of `value` are, where they are known to be positions."""
        return self._positions.get(hash(value))

    def set_position(self, value: ir.Value, position: Position | None) -> None:
        """Records that the elements of `value` are positions."""
        if position is not None:
            self._positions[hash(value)] = position

    def unify_values(self, a: ir.Value, b: ir.Value) -> None:
        """Claims that two tensors of one shape have the same dimensions."""
        for x, y in zip(self.dimensions(a), self.dimensions(b), strict=True):
            self.forest.unify(x, y)

    def pin(self, value: ir.Value, reason: str) -> None:
        """Pins every dimension of `value` (alike ones stay fresh)."""
        for node in self.dimensions(value):
            self.forest.pin(node, reason)

    def slice(self, node: int, offset: int, count: int) -> int:
        """Returns a node for indices ``offset … offset + count - 1`` of `node`, which it cuts."""
        forest = self.forest
        size = forest.size(node)
        if count == size:
            return node
        part = forest.new(count)
        rest = forest.new(size - offset - count)
        forest.unify(node, forest.sum([forest.new(offset), part, rest]))
        return part

    def window(self, node: int, position: Position | None, count: int) -> int | None:
        """Returns the part of `node` that `count` lookups at `position` read, one after the other.

        None where that is no part: the position is unknown, out of range, or always the same.
        """
        if isinstance(position, Single):
            start, count = position.value, count if count == 1 else 0
        elif isinstance(position, Range):
            start = position.start
        else:
            return None
        if count == 0 or not 0 <= start <= self.forest.size(node) - count:
            return None
        return self.slice(node, start, count)


def _static_shape(kind: ir.Type) -> tuple[int, ...] | None:
    if not isinstance(kind, ir.RankedTensorType):
        if isinstance(kind, ir.UnrankedTensorType):
            raise UserError(f"a value of type {kind} has no rank", notes=[_STATIC])
        return None
    kind = ir.RankedTensorType(kind)
    if not kind.has_static_shape:
        raise UserError(f"a value of type {kind} has a dynamic dimension", notes=[_STATIC])
    return tuple(kind.shape)


_STATIC = "the step function must have static shapes; compile one plan per batch shape"
