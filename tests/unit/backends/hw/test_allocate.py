"""Allocation: nothing overlaps, and little is wasted."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssft.compiler.backends.hw.memory.allocate import (
    ALIGNMENT,
    Allocation,
    AllocationError,
    Lifetime,
    allocate,
)

KIBIBYTE = 1024


@st.composite
def lifetimes(draw: st.DrawFn) -> list[Lifetime]:
    found = []
    for _ in range(draw(st.integers(0, 20))):
        first = draw(st.integers(0, 12))
        found.append(Lifetime(draw(st.integers(0, 1000)), first, draw(st.integers(first, 13))))
    return found


def overlapping(buffers: list[Lifetime], found: Allocation) -> list[tuple[int, int]]:
    return [
        (i, j)
        for j, other in enumerate(buffers)
        for i, one in enumerate(buffers[:j])
        if one.first <= other.last
        and other.first <= one.last
        and found.offsets[i] < found.offsets[j] + other.bytes
        and found.offsets[j] < found.offsets[i] + one.bytes
    ]


@settings(deadline=None)
@given(lifetimes())
def test_live_buffers_do_not_overlap(buffers: list[Lifetime]) -> None:
    found = allocate(buffers, effort=200)
    assert len(found.offsets) == len(buffers)
    assert all(offset % ALIGNMENT == 0 for offset in found.offsets)
    assert overlapping(buffers, found) == []
    ends = [offset + b.bytes for offset, b in zip(found.offsets, buffers, strict=True)]
    assert max(ends, default=0) <= found.peak <= max(ends, default=0) + ALIGNMENT


@given(lifetimes())
def test_the_lower_bound_is_the_most_live_bytes(buffers: list[Lifetime]) -> None:
    rounded = [b._replace(bytes=-(-max(b.bytes, 1) // ALIGNMENT) * ALIGNMENT) for b in buffers]
    expected = max(
        (sum(b.bytes for b in rounded if b.first <= t <= b.last) for t in range(14)), default=0
    )
    found = allocate(buffers, effort=0)
    assert found.lower_bound == expected <= found.peak


@given(lifetimes())
def test_the_same_question_gets_the_same_answer(buffers: list[Lifetime]) -> None:
    assert allocate(buffers, effort=100) == allocate(buffers, effort=100)


@given(lifetimes())
def test_improving_never_makes_it_worse(buffers: list[Lifetime]) -> None:
    assert allocate(buffers, effort=200).peak <= allocate(buffers, effort=0).peak


def cut(random: Random, count: int, height: int, duration: int) -> list[Lifetime]:
    """A full rectangle of memory and time, cut into buffers: the optimum is its height."""
    pieces = [(0, height, 0, duration)]
    while len(pieces) < count:
        low, high, first, end = pieces.pop(random.randrange(len(pieces)))
        if random.random() < 0.5 and high - low > ALIGNMENT:
            at = random.randrange(low // ALIGNMENT + 1, high // ALIGNMENT) * ALIGNMENT
            pieces += [(low, at, first, end), (at, high, first, end)]
        elif end - first > 1:
            at = random.randrange(first + 1, end)
            pieces += [(low, high, first, at), (low, high, at, end)]
        else:
            pieces.append((low, high, first, end))
    return [Lifetime(high - low, first, end - 1) for low, high, first, end in pieces]


@pytest.mark.parametrize("seed", range(4))
def test_a_cut_rectangle_is_put_together_again(seed: int) -> None:
    buffers = cut(Random(seed), 40, 1024 * KIBIBYTE, 100)
    found = allocate(buffers)
    assert overlapping(buffers, found) == []
    assert found.lower_bound == 1024 * KIBIBYTE
    assert found.peak <= 1.2 * found.lower_bound


def tiles(random: Random, kernels: int) -> list[Lifetime]:
    """Kernels of a few kinds: tiles live a kernel early, and a residual over every eight."""
    kinds = [
        [random.choice((64, 128, 256, 512, 768)) * KIBIBYTE for _ in range(random.randint(2, 5))]
        for _ in range(8)
    ]
    found = []
    for kernel in range(kernels):
        kind = kinds[kernel % len(kinds)]
        found += [Lifetime(size, max(kernel - 1, 0), kernel) for size in kind]
        if kernel % 8 == 0:
            found.append(Lifetime(512 * KIBIBYTE, kernel, kernel + 8))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_periodic_tiles_are_packed_well(seed: int) -> None:
    buffers = tiles(Random(seed), 64)
    found = allocate(buffers)
    assert overlapping(buffers, found) == []
    assert found.peak <= 1.2 * found.lower_bound


def test_climbing_helps_where_greed_fails() -> None:
    buffers = cut(Random(1), 60, 1024 * KIBIBYTE, 200)
    assert allocate(buffers).peak < allocate(buffers, effort=0).peak


def test_too_many_live_bytes_are_named() -> None:
    buffers = [Lifetime(640, 0, 1), Lifetime(64, 1, 3), Lifetime(1280, 1, 2), Lifetime(64, 3, 3)]
    with pytest.raises(AllocationError) as caught:
        allocate(buffers, capacity=1920)
    error = caught.value
    assert (error.capacity, error.needed, error.time) == (1920, 1984, 1)
    assert error.live == (2, 0, 1)
    assert allocate(buffers, capacity=1984).peak == 1984


def test_fragmentation_alone_can_be_too_much() -> None:
    """The lower bound fits, but no assignment was found that does."""
    buffers = cut(Random(3), 200, 1024 * KIBIBYTE, 200)
    with pytest.raises(AllocationError) as caught:
        allocate(buffers, capacity=1024 * KIBIBYTE, effort=0)
    assert caught.value.needed > caught.value.capacity
