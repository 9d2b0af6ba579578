"""Tiles: every element of an operand once, in transfers that go where the packed tile says."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssft.compiler.backends.hw.tiles.boxes import (
    Walk,
    aligned_sizes,
    boxes,
    cuts_at_multiples,
    flat_start,
    runs,
)
from ssft.compiler.backends.hw.views import Buffer, Factor, View

EXTENTS = st.lists(st.integers(1, 6), min_size=0, max_size=3).map(tuple)


@st.composite
def walks(draw: st.DrawFn) -> Walk:
    """Part of a row-major array of one to four dimensions, walked through in any order."""
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    steps = np.cumprod([1, *shape[::-1]])[-2::-1]
    order = draw(st.permutations(range(len(shape))))
    extents = [draw(st.integers(1, shape[d])) for d in order]
    strides = [0 if draw(st.integers(0, 5)) == 0 else int(steps[d]) for d in order]
    return Walk(draw(st.integers(0, 3)), tuple(extents), tuple(strides))


@given(walks())
def test_transfers_fill_the_packed_tile(walk):
    tile = np.full(walk.elements, -1)
    for run in runs(walk):
        for row, element in itertools.product(range(run.rows), range(run.run)):
            place = run.packed + row * run.run + element
            assert tile[place] == -1
            tile[place] = run.offset + row * run.pitch + element
    for position in itertools.product(*map(range, walk.extents)):
        packed = sum(i * s for i, s in zip(position, walk.packed, strict=True))
        expected = sum(i * s for i, s in zip(position, walk.strides, strict=True))
        assert tile[packed] == walk.offset + expected
        assert expected < walk.span


@given(EXTENTS, st.data())
def test_boxes_cover_every_iteration_once_in_order(extents, data):
    size = data.draw(st.sampled_from(aligned_sizes(extents)))
    seen = []
    for starts, sizes in boxes(extents, size):
        assert math.prod(sizes) <= size
        seen.append(flat_start(extents, starts))
        spans = [range(a, a + n) for a, n in zip(starts, sizes, strict=True)]
        inside = [flat_start(extents, place) for place in itertools.product(*spans)]
        # A box is a run of consecutive iterations.
        assert inside == list(range(seen[-1], seen[-1] + math.prod(sizes)))
        seen += inside[1:]
    assert seen == list(range(math.prod(extents)))


@given(EXTENTS, st.sampled_from([1, 2, 4]), st.data())
def test_cuts_at_multiples(extents, unit, data):
    size = data.draw(st.sampled_from(aligned_sizes(extents)))
    starts = [flat_start(extents, start) for start, _ in boxes(extents, size)]
    assert cuts_at_multiples(extents, size, unit) == all(s % unit == 0 for s in starts)


def test_cut_moves_the_start():
    walk = Walk(100, (4, 6), (10, 1)).cut((2, 1), (2, 3))
    assert (walk.offset, walk.extents) == (121, (2, 3))


def listed(count: int, offset: int = 0) -> View:
    return View(Buffer("list", "i64", 16, kind="argument"), offset, ((Factor(count, 1),),))


def test_cut_of_a_looked_up_loop_cuts_the_list():
    index = listed(8, offset=4)
    walk = Walk(100, (8, 6), (10, 1), (index, None)).cut((3,), (2,))
    assert (walk.offset, walk.extents) == (100, (2, 6))
    assert walk.index[0] == View(index.buffer, 7, ((Factor(2, 1),),))


@pytest.mark.parametrize(
    ("strides", "looked_up", "order"),
    [
        ((10, 1), 0, [0, 1]),
        ((1, 10), 1, [1, 0]),
        ((10, 1), 1, [0, 1]),
        ((50, 10, 1), 1, [0, 1, 2]),
        # What lies within a looked-up row, but not next to each other, is moved for itself.
        ((50, 10, 2), 1, [0, 2, 1]),
        ((10, 50, 1), 1, [0, 1, 2]),
    ],
)
def test_only_consecutive_elements_follow_a_looked_up_loop(strides, looked_up, order):
    index = [listed(3) if loop == looked_up else None for loop in range(len(strides))]
    walk = Walk(0, (3,) * len(strides), strides, tuple(index))
    assert walk.active == order
    assert walk.indexed_loop == looked_up


def test_a_list_of_one_is_looked_up_all_the_same():
    assert Walk(0, (1, 4), (10, 1), (listed(1), None)).active == [0, 1]
