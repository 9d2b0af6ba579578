from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssft.compiler.diagnostics import UserError
from ssft.compiler.permutation import (
    Layout,
    dimension_order,
    inverse,
    order,
    permute,
    unpermute,
)


def test_an_order_starts_with_the_front_and_goes_on_ascending():
    assert order([5, 2], 6).tolist() == [5, 2, 0, 1, 3, 4]
    assert order([], 3).tolist() == [0, 1, 2]
    assert order([0], 1).tolist() == [0]


@pytest.mark.parametrize("front", [[3], [-1], [1, 1]])
def test_a_front_that_fits_no_axis_is_refused(front):
    with pytest.raises(UserError):
        order(front, 3)


def test_a_named_factor_moves_in_blocks():
    index = dimension_order("h*3", {"h": order([1], 2)})
    assert index.tolist() == [3, 4, 5, 0, 1, 2]
    index = dimension_order("3*h", {"h": order([1], 2)})
    assert index.tolist() == [1, 0, 3, 2, 5, 4]


def test_segments_follow_one_another():
    axes = {"h": order([1], 2), "v": order([2], 3)}
    index = dimension_order("h*2 + v + 2", axes)
    assert index.tolist() == [2, 3, 0, 1, 6, 4, 5, 7, 8]


def test_a_sum_inside_a_product():
    index = dimension_order("h*(2 + v)", {"h": order([1], 2), "v": order([2], 3)})
    assert index.tolist() == [5, 6, 9, 7, 8, 0, 1, 4, 2, 3]


def test_permuted_position_i_holds_original_index_order_i():
    weight = np.arange(12).reshape(4, 3)
    stored = permute(weight, ["a", "3"], {"a": order([2], 4)})
    np.testing.assert_array_equal(stored[0], weight[2])
    np.testing.assert_array_equal(stored[1:], weight[[0, 1, 3]])


def test_scalars_have_no_layout():
    assert permute(np.array(3.0), [], {}) == 3.0


@pytest.mark.parametrize("text", ["", "h*", "+", "3 4", "(3", "3)", "h**2", "a-?"])
def test_malformed_layouts_are_the_users_mistake(text):
    with pytest.raises(UserError, match="is not a dimension layout"):
        Layout.parse(text)


def test_a_layout_must_fit():
    with pytest.raises(UserError, match="has 8 indices, but dimension 0 has 6"):
        permute(np.zeros(6), ["h*4"], {"h": order([], 2)})
    with pytest.raises(UserError, match="names axis 'g'"):
        permute(np.zeros(6), ["g*4"], {"h": order([], 2)})
    with pytest.raises(UserError, match="1 layouts for an array of 2"):
        permute(np.zeros((6, 6)), ["6"], {})


AXES = {"a": 2, "b": 3, "c": 5}


IDENTITIES = {name: order([], size) for name, size in AXES.items()}


def layouts(depth: int = 2) -> st.SearchStrategy[Layout]:
    factor = st.one_of(st.integers(1, 3), st.sampled_from(sorted(AXES)))
    if depth:
        factor = st.one_of(factor, factor, layouts(depth - 1))
    segment = st.lists(factor, min_size=1, max_size=3).map(tuple)
    segments = st.lists(segment, min_size=1, max_size=3).map(tuple)
    return segments.map(Layout).filter(lambda layout: layout.size(IDENTITIES) <= 200)


@settings(max_examples=100, deadline=None)
@given(st.lists(layouts(), min_size=1, max_size=2), st.randoms(use_true_random=False), st.data())
def test_unpermute_undoes_permute_for_any_array(dimensions, random, data):
    fronts = {n: random.sample(range(size), random.randint(0, size)) for n, size in AXES.items()}
    axes = {n: order(front, AXES[n]) for n, front in fronts.items()}
    shape = [layout.size(axes) for layout in dimensions]
    kind = data.draw(st.sampled_from(["f4", "f8", "i8", "i1", "?"]))
    array = np.arange(np.prod(shape)).reshape(shape).astype(kind)
    texts = [str(layout) for layout in dimensions]
    assert [Layout.parse(text) for text in texts] == [
        Layout.parse(str(Layout.parse(text))) for text in texts
    ]
    stored = permute(array, texts, axes)
    assert stored.dtype == array.dtype
    np.testing.assert_array_equal(unpermute(stored, texts, axes), array)
    np.testing.assert_array_equal(permute(unpermute(array, texts, axes), texts, axes), array)
    first = dimension_order(dimensions[0], axes)
    assert sorted(first) == list(range(shape[0]))
    np.testing.assert_array_equal(inverse(first)[first], np.arange(shape[0]))


@settings(deadline=None)
@given(layouts())
def test_layouts_round_trip_through_text(layout):
    again = Layout.parse(str(layout))
    assert str(again) == str(layout)
    assert list(again.names()) == list(layout.names())
    assert again.size(IDENTITIES) == layout.size(IDENTITIES)
