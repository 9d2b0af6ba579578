"""Stored slices come back in the model's own layout."""

from __future__ import annotations

import numpy as np

from ssft.compiler.permutation import axis_orders, permute
from ssft.compiler.plan_schema import ArgumentInfo, Permutation, Tile
from ssft.runtime.layout import full_layout, original, with_aliases

ORDERS = axis_orders({"g": Permutation(4, (2, 0))})


def info(shape: tuple[int, ...], **values: object) -> ArgumentInfo:
    return ArgumentInfo(0, "state", "w", shape, "f32", state="exp_avg", **values)


def test_permuted_storage_is_undone() -> None:
    array = np.arange(24, dtype=np.float32).reshape(8, 3)
    layouts = ("g*2", "3")
    stored = permute(array, layouts, ORDERS)
    assert not np.array_equal(stored, array)
    assert np.array_equal(original(stored, info((8, 3), permuted=layouts), ORDERS), array)


def test_the_result_is_a_copy() -> None:
    array = np.zeros((8, 3), np.float32)
    for permuted in (None, ("8", "3")):
        result = original(array, info((8, 3), permuted=permuted), ORDERS)
        assert not np.shares_memory(result, array)


def test_a_tile_goes_to_its_rows_and_columns() -> None:
    part = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    tile = Tile(rows=(4, 0, 2), columns=(3, 1))
    full = full_layout([(info((3, 2), tile=tile), part)], (5, 4), {})
    wanted = np.zeros((5, 4), np.float32)
    wanted[4, 3], wanted[4, 1] = 1, 2
    wanted[0, 3], wanted[0, 1] = 3, 4
    wanted[2, 3], wanted[2, 1] = 5, 6
    assert np.array_equal(full, wanted)


def test_a_tile_of_columns_with_permuted_rows() -> None:
    array = np.arange(32, dtype=np.float32).reshape(8, 4)
    part = permute(array[:, [3, 1]], ("g*2", "2"), ORDERS)
    described = info((8, 2), tile=Tile(columns=(3, 1)), permuted=("g*2", "2"))
    full = full_layout([(described, part)], (8, 4), ORDERS)
    assert np.array_equal(full[:, [1, 3]], array[:, [1, 3]])
    assert not full[:, [0, 2]].any()


def test_a_union_has_two_tiles() -> None:
    rows = np.full((1, 4), 1, np.float32)
    columns = np.full((2, 1), 2, np.float32)
    parts = [
        (info((1, 4), tile=Tile(rows=(1,))), rows),
        (info((2, 1), tile=Tile(rows=(0, 2), columns=(3,))), columns),
    ]
    full = full_layout(parts, (3, 4), {})
    assert full.tolist() == [[0, 0, 0, 2], [1, 1, 1, 1], [0, 0, 0, 2]]


def test_one_dimension() -> None:
    full = full_layout([(info((2,), tile=Tile(rows=(3, 0))), np.array([1.0, 2.0]))], (5,), {})
    assert full.tolist() == [2, 0, 0, 1, 0]


def test_tied_parameters_have_all_their_names() -> None:
    array = np.zeros(2)
    tied = ArgumentInfo(0, "trainable", "a", (2,), "f32", aliases=("b.a", "c.a"))
    assert list(with_aliases({"a": array}, [tied])) == ["a", "b.a", "c.a"]
