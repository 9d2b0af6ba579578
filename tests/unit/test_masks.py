"""Masks as disjoint rectangles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssft.compiler.masks import Mask, Tile, complement
from ssft.compiler.recipes.blocks import block_sums, mask_of_blocks, united
from ssft.compiler.recipes.parameters import FULL
from ssft.compiler.rectangles import rectangles


def elements(mask: Mask, shape: tuple[int, int]) -> np.ndarray:
    """How many tiles hold each element."""
    found = np.zeros(shape, int)
    for tile in mask.tiles(shape):
        sides = (tile.rows, tile.columns)
        found[
            np.ix_(*[range(n) if s is None else s for s, n in zip(sides, shape, strict=True)])
        ] += 1
    return found


@given(st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=6))
def test_rectangles_cover_a_set_once(rows):
    wanted = np.array(rows)
    found = np.zeros(wanted.shape, int)
    for part in rectangles(wanted):
        found[np.ix_(*part)] += 1
    np.testing.assert_array_equal(found, wanted)


def test_blocks_with_the_same_rows_or_columns_are_one_rectangle():
    rows = np.zeros((6, 4), bool)
    rows[[0, 3]] = True
    assert [(r.tolist(), c.tolist()) for r, c in rectangles(rows)] == [([0, 3], [0, 1, 2, 3])]
    # By rows these were three rectangles.
    columns = np.zeros((3, 6), bool)
    columns[:2, 0], columns[1:, 4], columns[0, 5] = True, True, True
    assert len(rectangles(columns)) == 3


@pytest.mark.parametrize(
    "mask",
    [
        Mask((1, 3), None),
        Mask(None, (0, 2)),
        Mask((1, 3), (0, 2)),
        Mask((1, 3), (0, 2), "union"),
        Mask((), (0, 2), "union"),
        Mask((0, 1, 2, 3), (0, 2), "union"),
        Mask((), (0,)),
        Mask(combine="rectangles", rectangles=(Tile((0,), (1, 2)), Tile((1, 2)), Tile((), (0,)))),
    ],
)
def test_tiles_are_disjoint_and_together_the_mask(mask):
    found = elements(mask, (4, 3))
    assert found.max(initial=0) <= 1
    expected = np.zeros((4, 3), bool)
    for row in range(4):
        for column in range(3):
            if mask.combine == "rectangles":
                expected[row, column] = any(
                    (t.rows is None or row in t.rows) and (t.columns is None or column in t.columns)
                    for t in mask.rectangles
                )
                continue
            inside = (mask.rows is None or row in mask.rows,
                      mask.columns is None or column in mask.columns)  # fmt: skip
            expected[row, column] = any(inside) if mask.combine == "union" else all(inside)
    np.testing.assert_array_equal(found, expected)


def test_index_lists_go_with_the_tiles():
    mask = Mask((0,), (1,), "union", row_list="r", column_list="c")
    first, second = mask.tiles((3, 4))
    assert first == Tile((0,), None, "r")
    assert second == Tile((1, 2), (1,), complement("r"), "c")
    assert list(mask.list_names()) == [(0, "r"), (1, "c")]
    now = mask.selected({"r": np.array([2]), "c": np.array([3])})
    assert now.tiles((3, 4))[1] == Tile((0, 1), (3,), complement("r"), "c")


def test_block_sums_of_uneven_blocks():
    values = np.arange(15).reshape(3, 5)
    expected = [[values[:2, :3].sum(), values[:2, 3:].sum()],
                [values[2:, :3].sum(), values[2:, 3:].sum()]]  # fmt: skip
    np.testing.assert_array_equal(block_sums(values, (2, 3)), expected)


@given(st.integers(0, 2**6 - 1))
def test_masks_of_blocks(bits):
    chosen = np.array([bool(bits >> n & 1) for n in range(6)]).reshape(2, 3)
    mask = mask_of_blocks(chosen, (3, 2), (5, 5))
    expected = chosen.repeat(3, axis=0)[:5].repeat(2, axis=1)[:, :5]
    np.testing.assert_array_equal(elements(mask, (5, 5)), expected)
    assert (mask == FULL) == chosen.all()


@given(st.lists(st.tuples(*[st.sets(st.integers(0, 4), min_size=1)] * 2), min_size=1, max_size=4))
def test_united_masks(parts):
    masks = [Mask(tuple(sorted(r)), tuple(sorted(c))) for r, c in parts]
    expected = np.any([elements(mask, (5, 5)) for mask in masks], axis=0)
    np.testing.assert_array_equal(elements(united(masks, (5, 5)), (5, 5)), expected)


def test_united_masks_of_a_vector():
    assert united([Mask((3,)), Mask((1, 3))], (5,)) == Mask((1, 3))
