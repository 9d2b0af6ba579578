"""Choices: seeded or by importance, the same for the same axes, possible to make contiguous."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssft.compiler.analysis.axes import Axis, DimensionLayout, Pin
from ssft.compiler.analysis.linears import INPUT, OUTPUT
from ssft.compiler.diagnostics import UserError
from ssft.compiler.fronts import fronts_of
from ssft.compiler.permutation import dimension_order, order
from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.choice import Candidate, Choice
from ssft.compiler.recipes.parameters import Dimension, Factor, Parameter
from ssft.compiler.recipes.statistics import Statistics

PIN = (Pin("visible outside the step", 1, "here"),)


def dimension(*segments: tuple[Factor, ...]) -> Dimension:
    return Dimension(sum(prod(f.size for f in s) for s in segments), segments)


def candidate(*segments: tuple[Factor, ...], name: str = "w", use: str = INPUT) -> Candidate:
    """The only dimension of a vector with these axes."""
    plain = dimension(*segments)
    return Candidate(Parameter(name, (Dimension(plain.size, segments, frozenset([use])),)), 0)


def units(choice: Choice, *segments: tuple[Factor, ...]) -> tuple[int, ...]:
    (found,) = choice.units([candidate(*segments)])
    return found


def free(axis: str, size: int) -> Factor:
    return Factor(axis, size, True)


def pinned(axis: str, size: int) -> Factor:
    return Factor(axis, size, False)


def layout_of(segment: tuple[Factor, ...]) -> DimensionLayout:
    """The same product as the axis analysis would describe it."""
    axes = [Axis(n, f.size, () if f.free else PIN) for n, f in enumerate(segment)]
    return DimensionLayout((tuple(axes),))


@st.composite
def products(draw: st.DrawFn) -> tuple[Factor, ...]:
    """Free axes, the last of several pinned or not: channels, heads, grouped heads."""
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    last_is_free = draw(st.booleans()) or len(sizes) == 1
    return tuple(
        Factor(f"a{n}", size, last_is_free or n < len(sizes) - 1) for n, size in enumerate(sizes)
    )


@given(products(), st.floats(0, 1), st.integers(0, 100))
def test_units_of_free_axes_can_be_made_contiguous(segment, ratio, seed):
    chosen = set(units(Choice(ratio, seed), segment))
    layout = layout_of(segment)
    fronts = fronts_of(chosen, layout)
    assert fronts is not None
    text = layout.text({axis.id: axis.name for axis in fronts})
    orders = {axis.name: order(front, axis.size) for axis, front in fronts.items()}
    where = [p for p, index in enumerate(dimension_order(text, orders)) if index in chosen]
    assert where == list(range(min(where, default=0), min(where, default=0) + len(chosen)))


@given(products(), st.floats(0, 1), st.integers(0, 100))
def test_units_are_whole_and_as_many_as_the_ratio_says(segment, ratio, seed):
    width = segment[-1].size if len(segment) > 1 else 1
    number = prod(f.size for f in segment) // width
    choice = Choice(ratio, seed)
    chosen = units(choice, segment)
    assert list(chosen) == sorted(set(chosen))
    assert len({index // width for index in chosen}) == choice.count(number)
    assert len(chosen) == choice.count(number) * width


def test_count():
    assert [Choice(0.25, 0).count(size) for size in (1, 2, 8, 100)] == [1, 1, 2, 25]
    assert Choice(0, 0).count(100) == 0
    assert Choice(1, 0).count(7) == 7


def test_choices_depend_on_the_seed_and_the_axis_only():
    a, b = (free("a", 64),), (free("b", 64),)
    chosen = units(Choice(0.1, 7), a)
    assert units(Choice(0.1, 8), a) != chosen
    assert units(Choice(0.1, 7), b) != chosen
    # What else is chosen with it makes no difference.
    both = Choice(0.1, 7).units([candidate(b), candidate(a), candidate(a, name="v")])
    assert both[1:] == [chosen, chosen]


def test_channels_are_drawn_for_each_parameter_and_dimension():
    def channels(name: str, dim: int) -> tuple[int, ...]:
        size = dimension((free("a", 64),))
        return Choice(0.1).channels(Candidate(Parameter(name, (size, size)), dim))

    first = channels("w", 0)
    assert len(first) == 6 and list(first) == sorted(set(first)) and max(first) < 64
    assert channels("w", 0) == first
    assert channels("w", 1) != first
    assert channels("v", 0) != first


def test_every_segment_of_a_concatenation_has_its_share():
    chosen = units(Choice(0.5, 3), (free("q", 8),), (free("k", 4),), (pinned("v", 4),))
    assert len([i for i in chosen if i < 8]) == 4
    assert len([i for i in chosen if 8 <= i < 12]) == 2
    assert len([i for i in chosen if i >= 12]) == 2


@pytest.mark.parametrize("factor", [free, pinned])
def test_draws_vary_over_all_units(factor):
    seen = set()
    for seed in range(60):
        seen.update(units(Choice(0.1, seed), (factor("a", 6),)))
    assert seen == set(range(6))


def measured(importance: str, order: str = "largest", ratio: float = 0.25, **values) -> Choice:
    found = {("weight", name): np.asarray(v, np.float32) for name, v in values.items()}
    return Choice(ratio, importance=importance, order=order, statistics=Statistics(1, found))


@pytest.mark.parametrize(("order", "expected"), [("largest", (1, 6)), ("smallest", (0, 3))])
@pytest.mark.parametrize("factor", [free, pinned])
def test_the_most_and_the_least_important(factor, order, expected):
    weights = [0, 9, 3, -1, 4, 5, -8, 2]
    assert units(measured("weight", order, w=weights), (factor("a", 8),)) == expected


def test_a_head_is_as_important_as_its_channels_together():
    weights = [5, 0, 4, 4, 3, 3, 1, 1]
    assert units(measured("weight", w=weights), (free("heads", 4), pinned("size", 2))) == (2, 3)


def test_parameters_of_one_axis_add_up():
    choice = measured("weight", w=[3, 2, 0, 0], v=[0, 2.5, 3.1, 0])
    members = [candidate((free("a", 4),), name=name, use=OUTPUT) for name in "wv"]
    assert choice.units(members) == [(1,), (1,)]


def test_grouped_heads_are_ranked_by_axis_so_that_they_stay_contiguous():
    """The best group first, and within it the heads that are best in all groups."""
    weights = np.array([[1, 2], [5, 6], [9, 0]]).repeat(2, axis=1).reshape(-1)
    segment = (free("groups", 3), free("heads", 2), pinned("size", 2))
    chosen = units(measured("weight", ratio=1 / 6, w=weights), segment)
    assert chosen == (8, 9)


def test_a_global_budget_goes_where_importance_is():
    first, second = ((free(axis, 4),) for axis in "ab")
    choice = replace(measured("weight", w=[9, 8, 1, 1], v=[0, 0, 0, 2]), budget="global")
    chosen = choice.units([candidate(first, name="w"), candidate(second, name="v")])
    assert chosen == [(0, 1), ()]


def test_a_global_budget_at_random_is_met_as_a_whole_and_spread_unevenly():
    members = [candidate((free(f"a{n}", 32),), name=f"w{n}") for n in range(8)]
    counts = {
        tuple(len(c) for c in Choice(0.05, seed, budget="global").units(members))
        for seed in range(5)
    }
    assert {sum(count) for count in counts} == {round(0.05 * 8 * 32)}
    assert len(counts) == 5 and any(len(set(count)) > 1 for count in counts)


def test_heads_do_not_compete_with_channels():
    choice = replace(measured("weight", w=[9] * 8, v=[1] * 8), budget="global")
    heads = candidate((free("h", 4), pinned("s", 2)), name="w")
    channels = candidate((free("c", 8),), name="v")
    assert [len(chosen) for chosen in choice.units([heads, channels])] == [2, 2]


def test_ratios_by_pattern():
    choice = Choice(0.5, ratios=(("*.down", 0.25), ("*", 0)))
    members = [candidate((free(a, 8),), name=name) for a, name in (("a", "0.down"), ("b", "0.up"))]
    assert [len(chosen) for chosen in choice.units(members)] == [2, 0]


def test_one_axis_cannot_have_two_ratios():
    members = [candidate((free("a", 8),), name=name) for name in ("gate", "up")]
    with pytest.raises(UserError, match=r"'gate' and 'up' share an axis, .* ratios 0\.1 and 0\.5"):
        Choice(0.5, ratios=(("gate", 0.1),)).units(members)


def test_what_is_avoided_is_never_chosen():
    avoid = {"w": Mask(rows=(0, 5))}
    heads = (free("h", 4), pinned("s", 2))
    for seed in range(8):
        assert set(units(Choice(0.5, seed, avoid=avoid), heads)) == {2, 3, 6, 7}
    # There is no more to choose than what is left.
    assert len(units(Choice(1.0, avoid=avoid), heads)) == 4


def test_importance_needs_statistics():
    with pytest.raises(UserError, match="importance 'weight' needs statistics"):
        units(Choice(0.5, importance="weight"), (free("a", 4),))
    with pytest.raises(UserError, match="the statistics have no input of 'w'"):
        units(measured("activation", w=[1, 2]), (free("a", 2),))
