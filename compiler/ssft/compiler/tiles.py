"""Where the trained parts of a masked parameter lie in memory: a few disjoint rectangles."""

from __future__ import annotations

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


Selector = Range | Indices | None
"""What is taken of a dimension; None is all of it."""


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
    orders = axis_orders(permutations)
    return [dimension_order(text, orders).tolist() for text in argument.permuted]


def place(mask: Mask, orders: Sequence[Sequence[int]]) -> list[PlacedTile]:
    """Returns the disjoint tiles that `mask` covers.

    Args:
        mask: index sets over dimensions 0 and 1, in original order.
        orders: per dimension, the original index that each stored position holds.

    A union is the chosen rows entirely, then the chosen columns of the other rows
    (``qn + mk - qk`` elements for q rows and k columns of m x n). There are no empty tiles.
    """
    lists: list[tuple[int, ...] | None] = [mask.rows, mask.columns]
    lists = lists[: len(orders)] + [None] * (len(orders) - 2)
    if mask.combine == "intersection":
        return [] if () in lists else [_tile(lists, orders)]
    rows, columns = set(mask.rows or ()), mask.columns
    others = tuple(index for index in range(len(orders[0])) if index not in rows)
    tiles = []
    if rows:
        tiles.append(_tile([mask.rows, None, *lists[2:]], orders))
    if others and columns:
        tiles.append(_tile([others, columns, *lists[2:]], orders))
    return tiles


def _tile(lists: Sequence[tuple[int, ...] | None], orders: Sequence[Sequence[int]]) -> PlacedTile:
    selectors: list[Selector] = []
    originals: list[tuple[int, ...] | None] = []
    for indices, order in zip(lists, orders, strict=True):
        selector = None if indices is None else _selector(set(indices), order)
        selectors.append(selector)
        held = None if selector is None else tuple(order[p] for p in selector.positions)
        originals.append(held)
    return PlacedTile(tuple(selectors), Tile(*[*originals, None][:2]))


def _selector(chosen: set[int], order: Sequence[int]) -> Selector:
    positions = tuple(position for position, index in enumerate(order) if index in chosen)
    if len(positions) == len(order):
        return None
    if positions[-1] - positions[0] + 1 == len(positions):
        return Range(positions[0], len(positions))
    return Indices(positions)
