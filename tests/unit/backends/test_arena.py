"""The arena planner never lets two live buffers overlap, and wastes little."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ssft.compiler.backends.cpu.arena import ALIGNMENT, Lifetime, alive, lifetimes, plan
from ssft.compiler.backends.cpu.schedule import Buffer, Call, Operand, Schedule


@st.composite
def buffers(draw: st.DrawFn) -> dict[int, Lifetime]:
    count = draw(st.integers(0, 25))
    found = {}
    for number in range(count):
        first = draw(st.integers(0, 30))
        last = draw(st.integers(first, 31))
        found[number] = Lifetime(draw(st.integers(0, 1000)), first, last)
    return found


@given(buffers())
def test_live_buffers_do_not_overlap(wanted: dict[int, Lifetime]) -> None:
    planned = plan(wanted)
    assert planned.offsets.keys() == wanted.keys()
    for number, life in wanted.items():
        start = planned.offsets[number]
        assert start % ALIGNMENT == 0
        assert start + life.bytes <= planned.bytes
        for other, other_life in wanted.items():
            alive_together = life.first <= other_life.last and other_life.first <= life.last
            if other != number and alive_together:
                other_start = planned.offsets[other]
                disjoint = (
                    start + life.bytes <= other_start or other_start + other_life.bytes <= start
                )
                assert disjoint, (number, other)


@given(buffers())
def test_the_arena_is_at_least_the_peak(wanted: dict[int, Lifetime]) -> None:
    peak = max(
        (sum(b.bytes for b in wanted.values() if b.first <= t <= b.last) for t in range(32)),
        default=0,
    )
    assert peak <= plan(wanted).bytes <= sum(b.bytes + ALIGNMENT for b in wanted.values())


def test_memory_is_reused_when_a_buffer_is_dead() -> None:
    wanted = {0: Lifetime(640, 0, 1), 1: Lifetime(640, 2, 3), 2: Lifetime(320, 2, 4)}
    planned = plan(wanted)
    assert planned.offsets == {0: 0, 1: 0, 2: 640}
    assert planned.bytes == 960


def test_the_smallest_gap_that_fits_is_taken() -> None:
    wanted = {
        0: Lifetime(640, 0, 0),  # leaves a gap of 640
        1: Lifetime(576, 0, 9),
        2: Lifetime(512, 0, 0),  # leaves a gap of 512
        3: Lifetime(448, 0, 9),
        4: Lifetime(64, 5, 9),
    }
    planned = plan(wanted)
    assert planned.offsets[4] == planned.offsets[2]


def test_lifetimes_go_from_the_first_to_the_last_call() -> None:
    schedule = Schedule(
        buffers=[Buffer("argument", 8), Buffer("temporary", 16), Buffer("temporary", 24)],
        calls=[
            Call("k", (Operand(0, 0, 8, False), Operand(1, 0, 16, True))),
            Call("k", (Operand(1, 8, 8, False), Operand(2, 0, 24, True))),
            Call("k", (Operand(1, 0, 4, False), Operand(0, 0, 8, True))),
        ],
    )
    assert lifetimes(schedule) == {1: Lifetime(16, 0, 2), 2: Lifetime(24, 1, 1)}


def test_another_order_is_tried_when_the_first_wastes_memory() -> None:
    # By decreasing size alone, 1536 bytes are needed.
    wanted = {
        0: Lifetime(512, 1, 4),
        1: Lifetime(640, 2, 3),
        2: Lifetime(384, 4, 7),
        3: Lifetime(512, 5, 6),
    }
    assert plan(wanted).bytes == alive(wanted) == 1152


def test_little_is_wasted_on_random_lifetimes() -> None:
    total = least = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        wanted = {}
        for number in range(200):
            first = int(random.integers(300))
            last = first + int(random.choice([1, 3, 10, 200]))
            wanted[number] = Lifetime(int(random.integers(1, 10**6)), first, last)
        total += plan(wanted).bytes
        least += alive(wanted)
    assert total <= 1.03 * least
