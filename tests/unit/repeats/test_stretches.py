"""Stretches that recur: where they begin, which occurrences are the same, and what does not pay."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ssft.compiler.repeats import Sequence, SequenceBuilder, Stretch, find_stretches


def layers(count: int, *, odd: int = -1, gap: int = -1) -> Sequence:
    """An input, then layers of three that hand on one value; `odd` reads another way."""
    builder = SequenceBuilder()
    value = builder.append("in")
    for layer in range(count):
        if layer == gap:
            value = builder.append("gap", [value])
        first = builder.append("a", [value])
        second = builder.append("b", [first, value])
        value = builder.append("c", [first, second] if layer == odd else [second, first])
    builder.append("out", [value])
    return builder.finish()


def find(sequence: Sequence, size: int = 1000, least: int = 4) -> list[Stretch]:
    return find_stretches(sequence, [size] * len(sequence), {0}, least)


def test_layers_that_follow_each_other():
    assert find(layers(6)) == [Stretch(3, (1, 4, 7, 10, 13, 16))]


def test_one_that_stands_apart_is_found_too():
    assert find(layers(7, gap=5)) == [Stretch(3, (1, 4, 7, 10, 13, 17, 20))]


def test_one_that_reads_its_own_values_otherwise_is_not_the_same():
    assert find(layers(7, odd=2)) == [Stretch(3, (1, 4, 10, 13, 16, 19))]


def test_what_is_barred_is_in_no_stretch():
    sequence = layers(6)
    assert find_stretches(sequence, [1000] * len(sequence), set(range(11)), 4) == []


def test_too_few_repetitions():
    assert find(layers(5), least=6) == []


def test_short_code_does_not_pay():
    assert find(layers(6), size=50) == []


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_occurrences_are_disjoint_and_equal(data):
    builder = SequenceBuilder()
    for position in range(data.draw(st.integers(1, 60))):
        reads = data.draw(st.lists(st.integers(0, position - 1), max_size=2)) if position else []
        builder.append(data.draw(st.integers(0, 2)), reads)
    sequence = builder.finish()
    covered: set[int] = set()
    for stretch in find(sequence, least=2):
        assert len(stretch.starts) >= 2
        inside = [range(start, start + stretch.period) for start in stretch.starts]
        assert len({sequence.keys[span.start : span.stop] for span in inside}) == 1
        own = [
            [[r - span.start for r in sequence.operands[i] if r in span] for i in span]
            for span in inside
        ]
        assert all(reads == own[0] for reads in own)
        positions = [i for span in inside for i in span]
        assert len(set(positions)) == len(positions)
        assert not covered & set(positions)
        covered |= set(positions)
