"""The schedules carried out, event by event: bubble, microbatches in flight, duration."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssft.compiler.cost_model.parallel import Layout
from ssft.compiler.cost_model.parallel.pipeline import schedule_seconds

FORWARD, BACKWARD = 1.0, 2.0


def order(layout: Layout, stage: int) -> list[tuple[str, int]]:
    """What a stage does, one after the other: (``"F"`` or ``"B"``, microbatch)."""
    count = layout.microbatches
    if layout.schedule == "gpipe":
        return [("F", i) for i in range(count)] + [("B", i) for i in range(count)]
    ahead = min(layout.pipeline - stage - 1, count)
    work = [("F", i) for i in range(ahead)]
    for i in range(count - ahead):
        work += [("F", ahead + i), ("B", i)]
    return work + [("B", i) for i in range(count - ahead, count)]


def simulate(layout: Layout) -> tuple[float, list[int], list[float]]:
    """Returns the duration, and per stage the most microbatches in flight and the time worked."""
    ends: dict[tuple[str, int, int], float] = {}
    queues = [order(layout, stage) for stage in range(layout.pipeline)]
    clocks, worked = [0.0] * layout.pipeline, [0.0] * layout.pipeline
    flying, most = [0] * layout.pipeline, [0] * layout.pipeline
    while any(queues):
        before = sum(map(len, queues))
        for stage, queue in enumerate(queues):
            while queue:
                kind, number = queue[0]
                if kind == "F":
                    needs = (kind, number, stage - 1) if stage else None
                else:
                    last = stage == layout.pipeline - 1
                    needs = ("F", number, stage) if last else (kind, number, stage + 1)
                if needs is not None and needs not in ends:
                    break
                queue.pop(0)
                time = FORWARD if kind == "F" else BACKWARD
                clocks[stage] = max(clocks[stage], ends[needs] if needs else 0.0) + time
                ends[kind, number, stage] = clocks[stage]
                worked[stage] += time
                flying[stage] += 1 if kind == "F" else -1
                most[stage] = max(most[stage], flying[stage])
        assert sum(map(len, queues)) < before, "the schedule does not get on"
    return max(clocks), most, worked


@given(
    st.sampled_from(["1f1b", "gpipe"]),
    st.integers(1, 6),
    st.integers(1, 9),
)
def test_formulas_are_those_of_the_schedule(schedule: str, stages: int, microbatches: int):
    layout = Layout(pipeline=stages, microbatches=microbatches, schedule=schedule)
    duration, most, worked = simulate(layout)
    each = FORWARD + BACKWARD
    assert duration == pytest.approx(schedule_seconds([each] * stages, microbatches))
    assert most == [layout.in_flight(stage) for stage in range(stages)]
    assert layout.bubble == pytest.approx((duration - worked[0]) / worked[0])


def test_by_hand():
    # Four stages, eight microbatches: 3 / 8 idle; the first stage keeps four, the last one one.
    layout = Layout(pipeline=4, microbatches=8)
    assert layout.bubble == 0.375
    assert [layout.in_flight(stage) for stage in range(4)] == [4, 3, 2, 1]
    assert schedule_seconds([3.0] * 4, 8) == 33.0
    # The slowest of unequal stages sets the pace.
    assert schedule_seconds([1.0, 5.0, 1.0], 3) == 17.0
