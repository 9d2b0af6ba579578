"""Tiles cover exactly the elements of a mask, each once."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssft.compiler.plan_schema import ArgumentInfo, Mask, Permutation
from ssft.compiler.tiles import Indices, PlacedTile, Range, place, stored_orders


def index_lists(size: int) -> st.SearchStrategy[tuple[int, ...] | None]:
    chosen = st.lists(st.integers(0, size - 1), unique=True, max_size=size)
    return st.none() | chosen.map(lambda indices: tuple(sorted(indices)))


@st.composite
def placements(draw: st.DrawFn) -> tuple[Mask, list[list[int]]]:
    rows, columns = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    orders = [draw(st.permutations(range(size))) for size in (rows, columns)]
    combine = draw(st.sampled_from(["intersection", "union"]))
    lists = index_lists(rows), index_lists(columns)
    if combine == "union":
        lists = tuple(entry.filter(lambda indices: indices is not None) for entry in lists)
    return Mask(draw(lists[0]), draw(lists[1]), combine), orders


def mask_elements(mask: Mask, shape: tuple[int, int]) -> set[tuple[int, int]]:
    """The original (row, column) pairs that train, straight from the definition."""
    rows = set(range(shape[0]) if mask.rows is None else mask.rows)
    columns = set(range(shape[1]) if mask.columns is None else mask.columns)
    both = all if mask.combine == "intersection" else any
    return {
        (row, column)
        for row, column in product(range(shape[0]), range(shape[1]))
        if both((row in rows, column in columns))
    }


def stored_positions(tile: PlacedTile, shape: tuple[int, ...]) -> list[list[int]]:
    return [
        list(range(size)) if selector is None else list(selector.positions)
        for selector, size in zip(tile.selectors, shape, strict=True)
    ]


@given(placements())
def test_tiles_cover_the_mask_and_are_disjoint(placement):
    mask, orders = placement
    shape = (len(orders[0]), len(orders[1]))
    covered: list[tuple[int, int]] = []
    for tile in place(mask, orders):
        rows, columns = stored_positions(tile, shape)
        covered += [(orders[0][row], orders[1][column]) for row in rows for column in columns]
    assert len(covered) == len(set(covered))
    assert set(covered) == mask_elements(mask, shape)


@given(placements())
def test_a_tile_names_the_original_indices_in_stored_order(placement):
    mask, orders = placement
    shape = (len(orders[0]), len(orders[1]))
    for tile in place(mask, orders):
        positions = stored_positions(tile, shape)
        assert [len(each) for each in positions] == tile.shape(shape)
        for held, where, order in zip(
            (tile.original.rows, tile.original.columns), positions, orders, strict=True
        ):
            expected = tuple(order[position] for position in where)
            assert (held or tuple(order)) == expected


@given(placements())
def test_positions_are_ascending_and_ranges_where_possible(placement):
    mask, orders = placement
    for tile in place(mask, orders):
        for selector, order in zip(tile.selectors, orders, strict=True):
            if selector is None:
                continue
            where = selector.positions
            assert list(where) == sorted(where)
            assert len(where) == selector.size < len(order)
            contiguous = where[-1] - where[0] + 1 == len(where)
            assert isinstance(selector, Range if contiguous else Indices)


def test_a_union_is_its_rows_and_the_columns_of_the_others():
    rows, columns = place(Mask((1,), (0, 2), "union"), [range(3), range(4)])
    assert rows.selectors == (Range(1, 1), None)
    assert columns.selectors == (Indices((0, 2)), Indices((0, 2)))
    assert columns.original.rows == (0, 2)


@pytest.mark.parametrize(
    ("mask", "shape"),
    [
        (Mask((), None), (3, 4)),
        (Mask((0,), ()), (3, 4)),
        (Mask((), (), "union"), (3, 4)),
        (Mask(()), (3,)),
    ],
)
def test_an_empty_mask_has_no_tiles(mask, shape):
    assert place(mask, [range(size) for size in shape]) == []


def test_a_vector_has_rows_only():
    (tile,) = place(Mask(rows=(1, 2)), [range(4)])
    assert tile.selectors == (Range(1, 2),)
    assert tile.shape([4]) == [2]


def test_further_dimensions_are_whole():
    (tile,) = place(Mask(rows=(0,), columns=(1, 3)), [range(2), range(4), range(3), range(3)])
    assert tile.selectors == (Range(0, 1), Indices((1, 3)), None, None)
    assert tile.shape((2, 4, 3, 3)) == [1, 2, 3, 3]


def argument(permuted: tuple[str, ...] | None) -> ArgumentInfo:
    return ArgumentInfo(0, "trainable", "w", (2, 6), "f32", permuted=permuted)


def test_stored_orders():
    permutations = {"h": Permutation(3, (2,))}
    assert stored_orders(argument(None), permutations) == [[0, 1], [0, 1, 2, 3, 4, 5]]
    found = stored_orders(argument(("2", "h*2")), permutations)
    assert found == [[0, 1], [4, 5, 0, 1, 2, 3]]


def test_a_permuted_dimension_turns_indices_into_a_range():
    orders = stored_orders(argument(("2", "h*2")), {"h": Permutation(3, (0, 2))})
    (tile,) = place(Mask(columns=(0, 1, 4, 5)), orders)
    assert tile.selectors == (None, Range(0, 4))
    np.testing.assert_array_equal(tile.original.columns, [0, 1, 4, 5])
