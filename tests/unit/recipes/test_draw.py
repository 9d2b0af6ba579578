"""Random choices: seeded, the same for the same axes, and always possible to make contiguous."""

from __future__ import annotations

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssft.compiler.analysis.axes import Axis, DimensionLayout, Pin
from ssft.compiler.fronts import fronts_of
from ssft.compiler.permutation import dimension_order, order
from ssft.compiler.recipes.parameters import Dimension, Draw, Factor

PIN = (Pin("visible outside the step", 1, "here"),)


def dimension(*segments: tuple[Factor, ...]) -> Dimension:
    return Dimension(sum(prod(f.size for f in s) for s in segments), segments)


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
    chosen = set(Draw(ratio, seed).units(dimension(segment)))
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
    units = prod(f.size for f in segment) // width
    draw = Draw(ratio, seed)
    chosen = draw.units(dimension(segment))
    assert list(chosen) == sorted(set(chosen))
    assert len({index // width for index in chosen}) == draw.count(units)
    assert len(chosen) == draw.count(units) * width


def test_count():
    assert [Draw(0.25, 0).count(size) for size in (1, 2, 8, 100)] == [1, 1, 2, 25]
    assert Draw(0, 0).count(100) == 0
    assert Draw(1, 0).count(7) == 7


def test_choices_depend_on_the_seed_and_the_axis_only():
    a, b = dimension((free("a", 64),)), dimension((free("b", 64),))
    first = Draw(0.1, 7)
    chosen = first.units(a)
    assert Draw(0.1, 7).units(a) == chosen
    assert first.units(dimension((free("a", 64),))) == chosen
    assert Draw(0.1, 8).units(a) != chosen
    assert first.units(b) != chosen
    # What else is drawn before makes no difference.
    later = Draw(0.1, 7)
    later.units(b)
    later.channels("w", 0, 64)
    assert later.units(a) == chosen


def test_channels_are_drawn_for_each_parameter_and_dimension():
    draw = Draw(0.1, 0)
    w0 = draw.channels("w", 0, 64)
    assert len(w0) == 6 and list(w0) == sorted(set(w0)) and max(w0) < 64
    assert draw.channels("w", 0, 64) == w0
    assert draw.channels("w", 1, 64) != w0
    assert draw.channels("v", 0, 64) != w0


def test_every_segment_of_a_concatenation_has_its_share():
    fused = dimension((free("q", 8),), (free("k", 4),), (pinned("v", 4),))
    chosen = Draw(0.5, 3).units(fused)
    assert len([i for i in chosen if i < 8]) == 4
    assert len([i for i in chosen if 8 <= i < 12]) == 2
    assert len([i for i in chosen if i >= 12]) == 2


@pytest.mark.parametrize("factor", [free, pinned])
def test_draws_vary_over_all_units(factor):
    seen = set()
    for seed in range(60):
        seen.update(Draw(0.1, seed).units(dimension((factor("a", 6),))))
    assert seen == set(range(6))
