"""Where the trained parts of a masked parameter lie in memory: a few disjoint rectangles."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ssft.compiler.permutation import axis_orders, dimension_order
from ssft.compiler.plan_schema import ArgumentInfo, Mask, Permutation, Tile


@dataclass(frozen=True)
class Range:
    """Positions ``offset … offset + size - 1`` of a dimension."""

    offset: int
    size: int

    @property
    def positions(self) -> tuple[int, ...]:
        """The positions, ascending."""
        return tuple(range(self.offset, self.offset + self.size))


@dataclass(frozen=True)
class Indices:
    """Arbitrary positions of a dimension, ascending."""

    positions: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of positions."""
        return len(self.positions)


@dataclass(frozen=True)
class Listed:
    """The `size` positions that the index list `name`, an argument of the step, holds."""

    name: str
    size: int


Selector = Range | Indices | Listed | None
"""What is taken of a dimension; None is all of it."""


_AXIS = re.compile(r"[A-Za-z_][A-Za-z0-9_.$-]*")
"""A name in a layout."""


@dataclass(frozen=True)
class PlacedTile:
    """A rectangle of trained elements: positions as stored, and the original indices they hold."""

    selectors: tuple[Selector, ...]
    original: Tile

    def shape(self, full: Sequence[int]) -> list[int]:
        """Returns the shape of the slice of a tensor of shape `full`."""
        return [
            size if selector is None else selector.size
            for selector, size in zip(self.selectors, full, strict=True)
        ]


def stored_orders(
    argument: ArgumentInfo, permutations: Mapping[str, Permutation]
) -> list[list[int]]:
    """Returns, per dimension of an argument, the original index that each stored position holds."""
    if not argument.permuted:
        return [list(range(size)) for size in argument.shape]
    named = set(_AXIS.findall(" ".join(argument.permuted))) & permutations.keys()
    orders = axis_orders({name: permutations[name] for name in named})
    return [dimension_order(text, orders).tolist() for text in argument.permuted]


def place(mask: Mask, orders: Sequence[Sequence[int]]) -> list[PlacedTile]:
    """Returns the disjoint tiles that `mask` covers.

    Args:
        mask: index sets over dimensions 0 and 1, in original order.
        orders: per dimension, the original index that each stored position holds.

    A dimension with an index list is stored in original order: positions are indices.
    """
    shape = [len(order) for order in orders]
    return [_placed(tile, orders) for tile in mask.tiles(shape)]


def _placed(tile: Tile, orders: Sequence[Sequence[int]]) -> PlacedTile:
    selectors: list[Selector] = []
    originals: list[tuple[int, ...] | None] = [None, None]
    sides = [*tile.sides, *([(None, None)] * len(orders))][: len(orders)]
    for dim, ((indices, name), order) in enumerate(zip(sides, orders, strict=True)):
        if indices is None or name is not None:
            selector = None if indices is None else Listed(name or "", len(indices))
            held = indices
        else:
            selector = _selector(set(indices), order)
            held = selector and tuple(order[p] for p in selector.positions)
        selectors.append(selector)
        if dim < len(originals):
            originals[dim] = held
    rows, columns = originals
    return PlacedTile(tuple(selectors), Tile(rows, columns, tile.row_list, tile.column_list))


def _selector(chosen: set[int], order: Sequence[int]) -> Range | Indices | None:
    positions = tuple(position for position, index in enumerate(order) if index in chosen)
    if len(positions) == len(order):
        return None
    if positions[-1] - positions[0] + 1 == len(positions):
        return Range(positions[0], len(positions))
    return Indices(positions)
