"""Fronts make a chosen set contiguous; sets that no permutation can gather get none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssft.compiler.analysis.axes import Axis, DimensionLayout, Pin
from ssft.compiler.fronts import Fronts, combine, fronts_of
from ssft.compiler.permutation import dimension_order, order

PIN = (Pin("visible outside the step", 1, "here"),)


def axis(number: int, size: int, free: bool = True) -> Axis:
    return Axis(number, size, () if free else PIN)


def stored(layout: DimensionLayout, fronts: Fronts) -> list[int]:
    """The original index at each stored position, by way of the plan's notation."""
    text = layout.text({each.id: each.name for each in fronts})
    orders = {each.name: order(front, each.size) for each, front in fronts.items()}
    return dimension_order(text, orders).tolist()


def is_contiguous(chosen: set[int], layout: DimensionLayout, fronts: Fronts) -> bool:
    where = [p for p, index in enumerate(stored(layout, fronts)) if index in chosen]
    return where == list(range(where[0], where[0] + len(where))) if where else True


@st.composite
def layouts(draw: st.DrawFn) -> DimensionLayout:
    """One to three segments of one to three factors; axes may be pinned, and may repeat."""
    sizes = {number: draw(st.integers(1, 4)) for number in range(4)}
    pinned = draw(st.sets(st.integers(0, 3), max_size=2))
    axes = [axis(number, size, number not in pinned) for number, size in sizes.items()]
    segment = st.lists(st.sampled_from(axes), min_size=1, max_size=3).map(tuple)
    return DimensionLayout(tuple(draw(st.lists(segment, min_size=1, max_size=3))))


@given(st.data())
def test_whatever_is_returned_makes_the_set_contiguous(data):
    layout = data.draw(layouts())
    chosen = data.draw(st.sets(st.integers(0, layout.size - 1)))
    fixed = data.draw(st.sets(st.integers(0, 3), max_size=1))
    fronts = fronts_of(chosen, layout, fixed)
    if fronts is None:
        return
    assert is_contiguous(chosen, layout, fronts)
    for each in fronts:
        assert each.is_free
        assert each.id not in fixed


@given(st.data())
def test_any_set_of_one_free_axis_can_be_gathered(data):
    size = data.draw(st.integers(1, 9))
    chosen = data.draw(st.sets(st.integers(0, size - 1), min_size=1))
    layout = DimensionLayout(((axis(0, size),),))
    fronts = fronts_of(chosen, layout)
    assert fronts is not None
    assert is_contiguous(chosen, layout, fronts)


@given(st.data())
def test_whole_blocks_and_a_part_of_one_more_can_be_gathered(data):
    """Grouped queries: whole groups of heads, and some heads of one more group."""
    groups, heads, width = (data.draw(st.integers(1, 4)) for _ in range(3))
    layout = DimensionLayout(((axis(0, groups), axis(1, heads), axis(2, width, free=False)),))
    whole = data.draw(st.sets(st.integers(0, groups - 1), max_size=groups))
    rest = sorted(set(range(groups)) - whole)
    chosen = {(g, h) for g in whole for h in range(heads)}
    if rest:
        part = data.draw(st.sets(st.integers(0, heads - 1)))
        chosen |= {(rest[0], h) for h in part}
    indices = {(g * heads + h) * width + i for g, h in chosen for i in range(width)}
    fronts = fronts_of(indices, layout)
    assert fronts is not None
    assert is_contiguous(indices, layout, fronts)


def one(*factors: Axis) -> DimensionLayout:
    return DimensionLayout((factors,))


def test_a_set_that_is_contiguous_already_needs_nothing():
    assert fronts_of({0, 1, 2}, one(axis(0, 8, free=False))) == {}
    assert fronts_of(set(range(8)), one(axis(0, 8, free=False))) == {}
    assert fronts_of(set(), one(axis(0, 8, free=False))) == {}


def test_partial_block_comes_last():
    groups, heads = axis(0, 3), axis(1, 4)
    chosen = {8, 9, 10, 11, 5, 6}  # group 2, and heads 1 and 2 of group 1
    assert fronts_of(chosen, one(groups, heads)) == {groups: (2, 1), heads: (1, 2)}


@pytest.mark.parametrize(
    ("chosen", "layout", "fixed"),
    [
        pytest.param({1, 3}, one(axis(0, 4, free=False)), (), id="the axis is pinned"),
        pytest.param({1, 3}, one(axis(0, 4)), (0,), id="the axis is fixed"),
        pytest.param({1, 5}, one(axis(0, 2), axis(1, 4)), (), id="two partial blocks"),
        pytest.param(
            {6, 7, 1}, one(axis(0, 2, free=False), axis(1, 4)), (), id="blocks are pinned"
        ),
        pytest.param({3}, one(axis(0, 2), axis(1, 2, free=False)), (), id="the inside is pinned"),
        pytest.param({3}, one(axis(0, 2), axis(0, 2)), (), id="one axis would have two fronts"),
        pytest.param({2, 3, 0}, one(axis(0, 2), axis(0, 2)), (), id="the inside moves along"),
        pytest.param(
            {1, 5}, DimensionLayout(((axis(0, 4),), (axis(1, 4),))), (), id="two segments"
        ),
        pytest.param(
            {1, 2},
            one(DimensionLayout(((axis(0, 2),), (axis(1, 2),)))),
            (),
            id="a sum has no permutation",
        ),
    ],
)
def test_sets_that_stay_gathered(chosen, layout, fixed):
    assert fronts_of(chosen, layout, fixed) is None


def test_what_comes_first_asks_to_stay_there():
    free = axis(0, 4)
    assert fronts_of({0, 1}, one(free)) == {free: (0, 1)}
    assert combine([(0, 1), (0, 2)]) == (1, 0, 2)


def test_an_axis_that_occurs_twice_need_not_move():
    assert fronts_of({0}, one(axis(0, 2), axis(0, 2))) == {}


def test_the_second_segment_alone():
    first, second = axis(0, 4), axis(1, 3)
    layout = DimensionLayout(((first,), (second,)))
    fronts = fronts_of({4, 6}, layout)
    assert fronts == {second: (0, 2)}
    assert stored(layout, fronts) == [0, 1, 2, 3, 4, 6, 5]


def test_combine_one_set():
    assert combine([(3, 1), (1, 3)]) == (3, 1)


@given(st.data())
def test_combine_makes_two_sets_contiguous(data):
    size = data.draw(st.integers(1, 8))
    sets = st.sets(st.integers(0, size - 1), min_size=1)
    first, second = data.draw(sets), data.draw(sets)
    front = combine([tuple(sorted(first)), tuple(sorted(second))])
    assert sorted(front) == sorted(first | second)
    layout, axes = one(axis(0, size)), axis(0, size)
    assert is_contiguous(first, layout, {axes: front})
    assert is_contiguous(second, layout, {axes: front})


def test_combine_serves_the_two_most_wanted_sets():
    requests = [(0,), (1, 2), (5, 6), (1, 2), (5, 6)]
    front = combine(requests)
    assert set(front) == {1, 2, 5, 6}
