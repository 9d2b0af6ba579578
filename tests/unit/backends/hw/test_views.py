"""Views address the elements that NumPy's own views address."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssft.compiler.backends.hw.views import (
    Buffer,
    Factor,
    View,
    collapsed,
    common_extents,
    expanded,
    gathered,
    permuted,
    refine,
    sliced,
    split_dimension,
    split_factors,
    whole,
)

SHAPES = st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=1, max_size=4).map(tuple)
LIST = Buffer("list", "i64", 9, kind="argument")
POSITIONS = np.array([1, 0, 2, 1, 0, 2, 0, 1, 2])


def value(shape: tuple[int, ...], order: tuple[int, ...] | None = None) -> View:
    return whole(Buffer("x", "f32", math.prod(shape)), shape, order)


def listed(offset: int, count: int) -> View:
    return View(LIST, offset, ((Factor(count, 1),),))


def positions(dim) -> list[int]:
    """Elements from the dimension's start to each of its positions."""
    found = []
    for digits in itertools.product(*(range(f.extent) for f in dim)):
        place = 0
        for digit, factor in zip(digits, dim, strict=True):
            if factor.index is not None:
                digit = POSITIONS[factor.index.offset + digit * factor.index.dims[0][0].stride]
            place += int(digit) * factor.stride
        found.append(place)
    return found


def addresses(view: View) -> np.ndarray:
    """The element that each position of the tensor is in."""
    dims = [positions(dim) for dim in view.dims]
    flat = [view.offset + sum(place) for place in itertools.product(*dims)]
    return np.array(flat).reshape(view.shape)


def numbers(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(math.prod(shape)).reshape(shape)


@given(SHAPES, st.data())
def test_chains_of_views(shape, data):
    view, expected = value(shape), numbers(shape)
    for _ in range(data.draw(st.integers(1, 4))):
        kind = data.draw(st.sampled_from(["permute", "slice", "collapse", "expand", "gather"]))
        rank = expected.ndim
        if kind == "permute":
            order = data.draw(st.permutations(range(rank)))
            view, expected = permuted(view, order), expected.transpose(order)
        elif kind == "slice":
            steps = [data.draw(st.integers(1, 2)) for _ in range(rank)]
            starts = [data.draw(st.integers(0, e - 1)) for e in expected.shape]
            boxes = [slice(a, None, s) for a, s in zip(starts, steps, strict=True)]
            part = expected[tuple(boxes)]
            found = sliced(view, starts, part.shape, steps)
            if found is not None:
                view, expected = found, part
        elif kind == "collapse" and rank > 1:
            at = data.draw(st.integers(0, rank - 2))
            groups = [[d] for d in range(at)] + [[at, at + 1]] + [[d] for d in range(at + 2, rank)]
            shape = tuple(math.prod(expected.shape[d] for d in group) for group in groups)
            view, expected = collapsed(view, groups), expected.reshape(shape)
        elif kind == "expand":
            at = data.draw(st.integers(0, rank - 1))
            extent = expected.shape[at]
            inner = data.draw(st.sampled_from([e for e in (1, 2, 3) if extent % e == 0]))
            shape = (*expected.shape[:at], extent // inner, inner, *expected.shape[at + 1 :])
            groups = [[d] for d in range(at)] + [[at, at + 1]]
            groups += [[d + 1] for d in range(at + 1, rank)]
            found = expanded(view, groups, shape)
            if found is not None:
                view, expected = found, expected.reshape(shape)
        elif kind == "gather":
            dim = data.draw(st.integers(0, rank - 1))
            count = data.draw(st.integers(1, 4))
            picks = POSITIONS[2 : 2 + count]
            if expected.shape[dim] >= 3:
                found = gathered(view, dim, listed(2, count))
                if found is not None:
                    view, expected = found, expected.take(picks, dim)
        assert view.shape == expected.shape
        np.testing.assert_array_equal(addresses(view), expected)


def test_order_is_the_order_in_memory():
    np.testing.assert_array_equal(addresses(value((2, 3), (1, 0))), numbers((3, 2)).T)


def test_a_list_is_sliced_but_only_without_gaps():
    view = gathered(value((4, 2)), 0, listed(0, 6))
    assert view is not None
    part = sliced(view, [2, 0], [3, 2], [1, 1])
    assert part is not None
    np.testing.assert_array_equal(addresses(part), numbers((4, 2))[POSITIONS[2:5]])
    assert sliced(view, [0, 0], [3, 2], [2, 1]) is None


def test_what_is_gathered_is_not_gathered_again():
    view = gathered(value((4, 4)), 0, listed(0, 2))
    assert view is not None
    assert gathered(view, 1, listed(0, 2)) is None


def test_a_dimension_of_factors_that_do_not_nest_is_not_cut():
    view = collapsed(permuted(value((4, 6)), [1, 0]), [[0, 1]])
    assert len(view.dims[0]) == 2
    assert sliced(view, [3], [5], [1]) is None
    part = sliced(view, [8], [4], [1])
    assert part is not None
    np.testing.assert_array_equal(addresses(part), numbers((4, 6)).T.ravel()[8:12])
    assert split_dimension(view.dims[0], [4, 6]) is None


@pytest.mark.parametrize(
    ("cuts", "expected"),
    [
        ([(64,)], (64,)),
        ([(4, 16), (64,)], (4, 16)),
        ([(4, 16), (2, 32)], (2, 2, 16)),
        ([(4, 16), (16, 4)], (4, 4, 4)),
        ([(4, 6), (6, 4)], None),
        ([(1,), ()], ()),
    ],
)
def test_refine(cuts, expected):
    assert refine(cuts) == expected


def test_neighbours_become_one_factor():
    assert collapsed(value((4, 6, 1, 2)), [[0, 1], [2, 3]]).dims == (
        (Factor(24, 2),),
        (Factor(2, 1),),
    )
    assert len(collapsed(permuted(value((4, 6)), [1, 0]), [[0, 1]]).dims[0]) == 2


def test_a_single_looked_up_position_has_a_loop():
    one = (Factor(1, 5, listed(3, 1), 4),)
    assert common_extents([one, (Factor(1, 0),)]) == (1,)
    assert split_factors(one, (1,)) == list(one)
    assert common_extents([(*one, Factor(6, 1)), (Factor(6, 1),)]) is None
    assert common_extents([(Factor(1, 0),), (Factor(1, 7),)]) == ()


def test_a_looked_up_dimension_is_not_split():
    assert split_factors((Factor(6, 1, listed(0, 6), 9),), (2, 3)) is None
    assert split_factors((Factor(6, 2),), (2, 3)) == [Factor(2, 6), Factor(3, 2)]
