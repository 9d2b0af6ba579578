"""What holds of every schedule, of steps and machines made at random."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ssft.compiler.cost_model.streaming.bound import least_seconds
from ssft.compiler.cost_model.streaming.check import ScheduleError, check
from ssft.compiler.cost_model.streaming.gaps import gaps, visits
from ssft.compiler.cost_model.streaming.homes import Homes
from ssft.compiler.cost_model.streaming.machine import Machine
from ssft.compiler.cost_model.streaming.schedule import Schedule
from ssft.compiler.cost_model.streaming.search import Found, stream
from ssft.compiler.cost_model.streaming.step import Segment, Step, Tensor, on_host, zeroth_order
from ssft.compiler.cost_model.streaming.timeline import Timeline
from ssft.compiler.diagnostics import UserError

from .conftest import machines, steps

quick = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
MODES = {"device": lambda step: step, "host": on_host, "zeroth order": zeroth_order}
modes = st.sampled_from(list(MODES))
shares = st.floats(0.0, 1.0)


def found(step: Step, machine: Machine, share: float) -> Found:
    """The schedule with a share of what lies between the least memory and all."""
    free = stream(step, replace(machine, host=1e9))
    budget = free.least + share * (free.all_resident - free.least)
    try:
        return stream(step, replace(machine, device=budget))
    except UserError:
        assume(False)
        raise


@quick
@given(steps(), machines(), shares, modes)
def test_schedules_can_be_carried_out(step: Step, machine: Machine, share: float, mode: str):
    step = MODES[mode](step)
    both = found(step, machine, share)
    for made in (both.best, both.keeping_nothing or both.best):
        assert check(made) <= made.machine.device * (1 + 1e-9)


@quick
@given(steps(), machines(), shares, modes)
def test_no_step_is_faster_than_its_work(step: Step, machine: Machine, share: float, mode: str):
    made = found(MODES[mode](step), machine, share)
    busy = {"compute": made.best.compute_seconds, **made.best.busy()}
    assert made.best.seconds >= max(busy.values()) * (1 - 1e-9)
    assert made.best.seconds <= sum(busy.values()) * (1 + 1e-9)
    bound = least_seconds(made.best.step, made.best.machine)
    assert bound <= made.best.seconds * (1 + 1e-6)
    if made.keeping_nothing:
        assert made.best.seconds <= made.keeping_nothing.seconds


@quick
@given(steps(), machines(), shares, shares, modes)
def test_more_memory_is_never_slower(
    step: Step, machine: Machine, share: float, more: float, mode: str
):
    step = MODES[mode](step)
    less, greater = sorted((share, more))
    small, large = found(step, machine, less), found(step, machine, greater)
    assert large.best.seconds <= small.best.seconds * (1 + 1e-12)


@quick
@given(steps(), machines(), modes)
def test_nothing_moves_where_everything_fits(step: Step, machine: Machine, mode: str):
    step = MODES[mode](step)
    made = found(step, machine, 1.0)
    if mode == "host":
        kinds = {made.best.step.tensors[t.tensor].kind for t in made.best.transfers}
        assert kinds <= {"trainable", "gradient", "state"}
    else:
        assert not made.best.transfers
        assert made.best.seconds == pytest.approx(made.best.compute_seconds)
        assert least_seconds(step, made.best.machine) == pytest.approx(made.best.seconds)


@quick
@given(steps(), machines(), shares, modes)
def test_bytes_are_conserved(step: Step, machine: Machine, share: float, mode: str):
    """What comes from the SSD goes on, what goes to the SSD has come; nothing leaves twice."""
    made = found(MODES[mode](step), machine, share).best
    moved = made.moved()
    on_ssd = {n for n, home in made.homes.of.items() if home == "ssd"}
    loaded = sum(t.bytes for t in made.transfers if t.queue == "to_device" and t.tensor in on_ssd)
    stored = sum(t.bytes for t in made.transfers if t.queue == "to_host" and t.tensor in on_ssd)
    updated = [n for u in made.step.updates for n in (u.weight, *u.states)]
    updated = [n for n in updated if made.step.tensors[n].on_host and n in on_ssd]
    sizes = sum(made.step.tensors[n].bytes for n in updated)
    assert moved["ssd_read"] == pytest.approx(loaded + sizes)
    assert moved["ssd_write"] == pytest.approx(stored + sizes)
    for number, tensor in enumerate(made.step.tensors):
        sent = [t for t in made.transfers if t.queue == "to_host" and t.tensor == number]
        assert len(sent) <= max(1, len(tensor.written))
        if tensor.kind == "frozen":
            assert not sent


@quick
@given(steps(), machines(), shares, modes, st.randoms(use_true_random=False))
def test_the_checker_finds_faults(step: Step, machine: Machine, share: float, mode: str, random):
    """Leaving out a transfer, or running it elsewhere in time, is found."""
    made = found(MODES[mode](step), machine, share / 2).best
    loads = [n for n, t in enumerate(made.transfers) if t.queue == "to_device"]
    assume(loads)
    number = random.choice(loads)
    transfer = made.transfers[number]
    late = replace(transfer, start=transfer.start + made.seconds, end=transfer.end + made.seconds)
    short = replace(transfer, end=transfer.start)
    for wrong in ((), (late,), (short,)):
        transfers = (*made.transfers[:number], *wrong, *made.transfers[number + 1 :])
        with pytest.raises(ScheduleError):
            check(replace(made, transfers=transfers))


@pytest.fixture
def two() -> Schedule:
    """Two weights of 8 bytes that take 8 seconds to come; a segment takes one and a byte more."""
    segments = tuple(Segment("forward", 10.0, 1.0) for _ in range(4))
    tensors = (Tensor("a", "frozen", 8.0, (0, 3)), Tensor("b", "frozen", 8.0, (1, 2)))
    step = Step("two", "lora", segments, tensors, (), 0.0)
    return stream(step, Machine(17.0, 100.0, 0.0, 1.0, 1.0, 1.0, 1.0, 10.0, 1.0)).best


def test_two_weights_by_hand(two: Schedule):
    """17 bytes hold all. In 16, each must go before the other one comes: two loads of 8 seconds."""
    assert two.seconds == 4.0
    smaller = stream(two.step, replace(two.machine, device=16.0)).best
    assert smaller.seconds == 4.0 + 2 * 8.0
    assert check(smaller) == 9.0
    assert [t.slot for t in smaller.transfers] == [1, 3]


def test_what_was_sent_away_is_fetched_when_it_has_arrived():
    """It leaves after one second, takes ten, and ten to come back: there is no room to keep it."""
    segments = tuple(Segment("forward", 10.0, 18.0 * (n == 1)) for n in range(3))
    tensors = (Tensor("a", "activation", 20.0, (0, 2), (0,)),)
    step = Step("one", "full", segments, tensors, (), 0.0)
    made = stream(step, Machine(20.0, 200.0, 0.0, 2.0, 2.0, 2.0, 2.0, 10.0, 1.0)).best
    assert check(made) == 20.0
    assert [(t.start, t.end) for t in made.transfers] == [(1.0, 11.0), (12.0, 22.0)]
    # By way of the SSD: it is read when it is written.
    machine, stays = Machine(20.0, 80.0, 1e9, 2.0, 2.0, 10.0, 1.0, 10.0, 1.0), visits(step)
    made = Timeline(step, machine, stays, gaps(step, stays), set(), Homes({0: "ssd"}, 40.0)).run()
    check(made)
    ends = {t.queue: (t.start, t.end) for t in made.transfers}
    assert ends["ssd_write"] == (11.0, 31.0) and ends["ssd_read"] == (31.0, 33.0)
    assert ends["to_device"] == (33.0, 43.0)


def test_a_budget_that_is_exceeded_is_found(two: Schedule):
    assert check(two) == 17.0
    with pytest.raises(ScheduleError, match="bytes on the device"):
        check(replace(two, machine=replace(two.machine, device=16.0)))


def test_what_is_too_small_is_refused_with_what_would_fit(two: Schedule):
    with pytest.raises(UserError, match="even if everything is fetched") as caught:
        stream(two.step, replace(two.machine, device=8.0))
    assert "it fits into --memory-budget" in caught.value.notes[-1]
    with pytest.raises(UserError, match="host and SSD have") as caught:
        stream(two.step, replace(two.machine, device=16.0, host=15.0))
    assert "without an SSD" in caught.value.notes[0]
