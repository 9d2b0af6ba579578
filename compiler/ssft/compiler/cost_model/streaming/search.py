"""Chooses what stays on the device, and refuses what does not fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ssft.compiler.byte_sizes import enough, readable, told_apart
from ssft.compiler.cost_model.streaming.gaps import Gap, Visit, bridged, gaps, occupied, visits
from ssft.compiler.cost_model.streaming.homes import homes
from ssft.compiler.cost_model.streaming.machine import Machine
from ssft.compiler.cost_model.streaming.schedule import Schedule
from ssft.compiler.cost_model.streaming.step import Step
from ssft.compiler.cost_model.streaming.timeline import Timeline
from ssft.compiler.diagnostics import UserError

CANDIDATES = 24
"""Amounts of memory that are tried for what stays; the rest is for what comes early."""


@dataclass(frozen=True)
class Found:
    """The fastest schedule, the one that keeps nothing, and bytes: without streaming, at least."""

    best: Schedule
    keeping_nothing: Schedule | None
    all_resident: float
    least: float


def stream(step: Step, machine: Machine) -> Found:
    """Returns the fastest of the schedules tried.

    Each keeps on the device what saves most (`gaps.bridged`) within a share of the memory, and
    fetches the rest through what is left. The shares are the same for every budget that they fit
    into, and with more memory a choice is never slower (`timeline`): so no step is.

    Raises UserError, with what would fit, if the device or host and SSD are too small.
    """
    visited = visits(step)
    found = gaps(step, visited)
    base = occupied(step, visited)
    seconds = np.array([segment.flops / machine.compute for segment in step.segments])
    least, most = float(base.max()), _all_resident(step)
    if least > machine.device:
        raise _too_small(step, visited, base, machine)
    best: Schedule | None = None
    nothing: Schedule | None = None
    refused: UserError | None = None
    for kept in _choices(found, base, seconds, machine, (least, most)):
        try:
            chosen = homes(step, found, kept, machine)
        except UserError as error:
            refused = error
            continue
        schedule = Timeline(step, machine, visited, found, kept, chosen).run()
        nothing = nothing if kept else schedule
        # Of equally fast ones, the one that moves less.
        if best is None or _rank(schedule) < _rank(best):
            best = schedule
    if best is None:
        assert refused is not None
        raise refused
    return Found(best, nothing, most, least)


def _choices(
    found: Sequence[Gap],
    base: np.ndarray,
    seconds: np.ndarray,
    machine: Machine,
    span: tuple[float, float],
) -> Iterator[frozenset[int]]:
    """Yields different sets of gaps to bridge, nothing first, for every share of the memory."""
    seen: set[frozenset[int]] = set()
    for number in range(CANDIDATES + 1):
        limit = span[0] + (span[1] - span[0]) * number / CANDIDATES
        for from_ssd in (False, True):
            if limit <= machine.device or not number:
                kept = bridged(found, base, seconds, machine, limit, from_ssd=from_ssd)
                choice = frozenset(kept if number else ())
                if choice not in seen:
                    seen.add(choice)
                    yield choice


def _rank(schedule: Schedule) -> tuple[float, float]:
    return schedule.seconds, sum(schedule.busy().values())


def _all_resident(step: Step) -> float:
    """The most bytes at once if nothing ever leaves the device but what is used up."""
    count = len(step.segments)
    edges = np.zeros(count + 1)
    for tensor in step.tensors:
        if tensor.uses:
            first, last = tensor.uses[0], tensor.uses[-1]
            if not tensor.temporary:
                first, last = 0, count - 1
            edges[first] += tensor.bytes
            edges[last + 1] -= tensor.bytes
    working = np.array([segment.working for segment in step.segments])
    return float((np.cumsum(edges[:-1]) + working).max()) + step.fixed


def all_resident(step: Step, machine: Machine) -> Machine:
    """Returns the machine with so much memory on the device that nothing need be moved."""
    return replace(machine, device=_all_resident(step))


def _too_small(
    step: Step, visited: Sequence[Sequence[Visit]], base: np.ndarray, machine: Machine
) -> UserError:
    worst = int(base.argmax())
    segment = step.segments[worst]
    here = [
        tensor
        for tensor, stays in zip(step.tensors, visited, strict=True)
        if any(first <= worst <= last for first, last in stays)
    ]
    largest = sorted(here, key=lambda tensor: -tensor.bytes)[:3]
    parts = ", ".join(f"{t.name} ({t.kind}) {readable(t.bytes, decimal=True)}" for t in largest)
    temporaries = readable(segment.working + step.fixed, decimal=True)
    least = float(base.max())
    has, needs = told_apart(machine.device, least, decimal=True)
    return UserError(
        f"the device has {has}, and the step needs {needs} even if everything is fetched when it "
        "is used and dropped afterwards",
        notes=[
            f"the {segment.phase} pass needs most in segment {worst}: temporaries {temporaries}; "
            f"of what is used, {parts}",
            f"it fits into --memory-budget {enough(least)}; a smaller batch or shorter sequences "
            "need less",
        ],
    )
