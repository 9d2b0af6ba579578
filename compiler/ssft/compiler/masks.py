"""Which elements of a parameter train: masks, and the disjoint rectangles that they are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

Lists = Mapping[str, Iterable[int]]
"""Contents of index lists that are data of a plan, by the name of the argument."""


@dataclass(frozen=True)
class Tile:
    """Original rows and columns that a slice of a parameter holds, in the slice's own order.

    `None` stands for all of a dimension. Where an index list is an argument of the step rather
    than a part of its code, `row_list` or `column_list` is its name, and `rows` or `columns` what
    it holds at first.
    """

    rows: tuple[int, ...] | None = None
    columns: tuple[int, ...] | None = None
    row_list: str | None = None
    column_list: str | None = None

    @property
    def sides(self) -> tuple[tuple[tuple[int, ...] | None, str | None], ...]:
        """The indices and the list's name of dimension 0 and of dimension 1."""
        return (self.rows, self.row_list), (self.columns, self.column_list)

    def selected(self, lists: Lists) -> Tile:
        """The tile with what `lists` hold now."""
        return Tile(
            _current(self.rows, self.row_list, lists),
            _current(self.columns, self.column_list, lists),
            self.row_list,
            self.column_list,
        )


@dataclass(frozen=True)
class Mask:
    """Which elements of a parameter train: original indices over dimensions 0 and 1.

    `None` stands for all of a dimension. `combine` is ``"intersection"`` or ``"union"`` of rows and
    columns, or ``"rectangles"``: then those of `rectangles`, which are disjoint, train, and `rows`
    and `columns` say nothing. `row_list` and `column_list` are as of a `Tile`.
    """

    rows: tuple[int, ...] | None = None
    columns: tuple[int, ...] | None = None
    combine: str = "intersection"
    rectangles: tuple[Tile, ...] = ()
    row_list: str | None = None
    column_list: str | None = None

    def tiles(self, shape: Sequence[int]) -> list[Tile]:
        """The disjoint rectangles of a parameter of `shape` that train; none is empty.

        A union is the chosen rows entirely, then the chosen columns of the other rows
        (``qn + mk - qk`` elements for q rows and k columns of m x n).
        """
        if self.combine == "rectangles":
            return [tile for tile in self.rectangles if () not in (tile.rows, tile.columns)]
        columns = (self.columns, self.column_list) if len(shape) > 1 else (None, None)
        if self.combine == "intersection":
            whole = Tile(self.rows, columns[0], self.row_list, columns[1])
            return [] if () in (whole.rows, whole.columns) else [whole]
        rows = set(self.rows or ())
        others = tuple(index for index in range(shape[0]) if index not in rows)
        names = (None if self.row_list is None else complement(self.row_list), columns[1])
        found = [Tile(self.rows, None, self.row_list)] if rows else []
        return found + ([Tile(others, columns[0], *names)] if others and columns[0] else [])

    def selected(self, lists: Lists) -> Mask:
        """The mask with what `lists` hold now."""
        return replace(
            self,
            rows=_current(self.rows, self.row_list, lists),
            columns=_current(self.columns, self.column_list, lists),
        )

    def list_names(self) -> Iterator[tuple[int, str]]:
        """The dimensions whose indices are data, and the names of their lists."""
        for dim, name in enumerate((self.row_list, self.column_list)):
            if name is not None:
                yield dim, name


def complement(name: str) -> str:
    """The name of the list that holds what list `name` does not."""
    return f"{name}:others"


def _current(
    indices: tuple[int, ...] | None, name: str | None, lists: Lists
) -> tuple[int, ...] | None:
    return indices if name is None else tuple(int(index) for index in lists[name])
