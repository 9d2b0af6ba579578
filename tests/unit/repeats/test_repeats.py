"""Runs of repetitions in plain sequences, and sequences with more or fewer of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssft.compiler.repeats import (
    Run,
    Sequence,
    SequenceBuilder,
    UnevenError,
    candidate_periods,
    change_counts,
    find_runs,
)

ANY = range(2, 1000)


def chain(builder: SequenceBuilder, depth: int, width: int, shared: bool, tail: bool) -> Sequence:
    """A forward pass of `depth` layers and a backward pass that reads it from the end."""
    start = builder.append("in")
    table = builder.append("table")
    weights = [[builder.append(("w", i)) for i in range(width)] for _ in range(depth)]
    value = start
    saved = []
    for layer in weights:
        for i, weight in enumerate(layer):
            value = builder.append(("mul", i), [value, weight, *([table] if shared else [])])
        saved.append(value)
    gradient = builder.append("loss", [value])
    gradients = []
    for layer, kept in zip(reversed(weights), reversed(saved), strict=True):
        gradient = builder.append("back", [gradient, kept, layer[0]])
        gradients.append(gradient)
    if tail:
        builder.append("end", [gradient, value])
    for layer, of in zip(weights, reversed(gradients), strict=True):
        builder.append("update", [layer[-1], of])
    return builder.finish()


@settings(max_examples=60, deadline=None)
@given(
    depth=st.integers(5, 9),
    goal=st.integers(4, 12),
    width=st.integers(1, 4),
    shared=st.booleans(),
    tail=st.booleans(),
)
def test_what_is_made_longer_is_what_would_have_been_written(depth, goal, width, shared, tail):
    builder = SequenceBuilder()
    sequence = chain(builder, depth, width, shared, tail)
    counts = range(depth - 1, depth + 2)
    runs = find_runs(sequence, {1, width}, counts)
    changed = change_counts(sequence, runs, [goal - depth] * len(runs))
    found = Sequence(tuple(sequence.keys[i] for i in changed.sources), changed.operands)
    assert found == chain(builder, goal, width, shared, tail)


def test_an_operation_once_in_a_layer_gives_the_period_away():
    sequence = chain(SequenceBuilder(), 6, 3, shared=True, tail=True)
    assert 3 in candidate_periods(sequence, 5)


def build(*items: tuple[str, list[int]]) -> Sequence:
    builder = SequenceBuilder()
    for key, operands in items:
        builder.append(key, operands)
    return builder.finish()


def test_the_longest_even_part_is_found():
    skipping = [("f", [i]) for i in range(4)] + [("f", [2])] + [("f", [i]) for i in range(5, 10)]
    sequence = build(("in", []), *skipping)
    (run,) = find_runs(sequence, {1}, ANY)
    assert run == Run(5, 1, 6)


def test_a_value_from_the_middle_of_a_run_has_no_place_in_a_longer_one():
    sequence = build(("in", []), *[("f", [i]) for i in range(6)], ("end", [3]))
    runs = find_runs(sequence, {1}, ANY)
    with pytest.raises(UnevenError, match="middle"):
        change_counts(sequence, runs, [2])


def test_values_from_the_ends_of_a_run_stay_there():
    sequence = build(("in", []), *[("f", [i]) for i in range(6)], ("end", [1, 2, 5, 6]))
    runs = find_runs(sequence, {1}, ANY)
    changed = change_counts(sequence, runs, [3])
    assert changed.operands[-1] == (1, 2, 8, 9)


def test_a_run_does_not_shrink_to_nothing():
    sequence = build(("in", []), *[("f", [i]) for i in range(6)])
    with pytest.raises(UnevenError, match="fewer"):
        change_counts(sequence, find_runs(sequence, {1}, ANY), [-5])
