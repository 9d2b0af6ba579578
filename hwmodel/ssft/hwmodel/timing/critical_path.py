"""The chain of commands that decides when a program ends, and how late every command may be.

Walking back from the command that completes last, each moment is explained by what was waited for:
a command's own execution, before that the post that let it start, or else the predecessor whose
place in the queue it took. The chain has no gaps: its segments cover the whole run, so that they
also say which source operation, unit and phase each cycle of the run is due to.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ssft.hwmodel.timing.event_loop import FENCE, NEVER, TRANSFER
from ssft.hwmodel.timing.events import Simulation

Cause = Literal["work", "sharing", "latency", "issue"]
"""Why the chain spends time at a command: its own work, a transfer slowed by one of the other
direction, the DRAM's latency, decoding."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the chain: cycles `begin` to `end` are due to `command` (in stream order)."""

    begin: int
    end: int
    command: int
    cause: Cause

    @property
    def cycles(self) -> int:
        """Length in cycles."""
        return self.end - self.begin


def critical_path(simulation: Simulation) -> list[Segment]:
    """The chain, in order of time; its segments adjoin and cover cycle 0 to the last one."""
    if not len(simulation.stream):
        return []
    s = simulation
    segments: list[Segment] = []

    def add(begin: int, end: int, command: int, cause: Cause) -> None:
        if end > begin:
            segments.append(Segment(int(begin), int(end), command, cause))

    i = int(np.argmax(s.complete))
    completed = True
    while True:
        if completed:
            own = s.leave[i] + (s.latency if s.kind[i] == TRANSFER else 0)
            if s.complete[i] > own:
                i -= 1
                continue
            add(s.leave[i], s.complete[i], i, "latency")
        if s.kind[i] == FENCE and s.leave[i] > s.start[i]:
            i, completed = i - 1, True
            continue
        alone = s.start[i] + s.work[i]
        add(alone, s.leave[i], i, "sharing")
        add(s.start[i], alone, i, "work")
        if s.producer[i] >= 0:
            i, completed = int(s.producer[i]), True
            continue
        add(s.issue[i], s.start[i], i, "issue")
        if i == s.stream.first[s.stream.queue[i]]:
            return segments[::-1]
        i, completed = i - 1, False


def slack(simulation: Simulation) -> np.ndarray:
    """How many cycles later each command could have left its unit without a longer run, as int64.

    Transfers are taken to last as long as they did, though moving them would change whom they share
    bandwidth with. Where several queues post to one semaphore, a waiting command is taken to need
    exactly the posts that it got, so that slack there may be more than this.
    """
    s, stream = simulation, simulation.stream
    latest_complete = [simulation.cycles] * len(stream)
    latest_leave = [simulation.cycles] * len(stream)
    leave, start = s.leave.tolist(), s.start.tolist()
    first = set(stream.first)
    wait, value = stream.wait.tolist(), stream.wait_value.tolist()
    fence, transfer = (s.kind == FENCE).tolist(), (s.kind == TRANSFER).tolist()
    deadlines = _Deadlines(simulation)
    for i in reversed(s.order.tolist()):
        complete = latest_complete[i] = min(latest_complete[i], deadlines.of(i))
        delay = s.latency if transfer[i] else 0
        leaves = latest_leave[i] = min(latest_leave[i], complete - delay)
        starts = leaves if fence[i] else leaves - (leave[i] - start[i])
        if wait[i] >= 0 and value[i] > 0:
            deadlines.add(wait[i], value[i], starts)
        if i not in first:
            latest_leave[i - 1] = min(latest_leave[i - 1], starts - s.issue_cycles)
            held = leaves if fence[i] else complete
            latest_complete[i - 1] = min(latest_complete[i - 1], held)
    return np.array(latest_leave, dtype=np.int64) - s.leave


class _Deadlines:
    """Until when posts have to come, for the commands that wait for them."""

    def __init__(self, simulation: Simulation) -> None:
        self.counts = [[count for count, _ in posts] for posts in simulation.reached]
        self.latest = [
            np.full(len(posts), simulation.cycles, dtype=np.int64) for posts in simulation.reached
        ]
        self.posts: dict[int, list[tuple[int, int]]] = {}
        queue = simulation.stream.queue
        for semaphore, posts in enumerate(simulation.reached):
            for position, (_, command) in enumerate(posts):
                self.posts.setdefault(command, []).append((semaphore, position))
        self.one_queue = [
            len(np.unique(queue[[command for _, command in posts]])) < 2
            for posts in simulation.reached
        ]

    def add(self, semaphore: int, value: int, cycle: int) -> None:
        """The semaphore has to reach `value` by `cycle`."""
        position = bisect_left(self.counts[semaphore], value)
        latest = self.latest[semaphore]
        latest[position] = min(latest[position], cycle)

    def of(self, command: int) -> int:
        """Until when `command` has to be complete."""
        found = NEVER
        for semaphore, position in self.posts.get(command, ()):
            latest = self.latest[semaphore]
            # A queue completes in order, so the posts of one queue pass deadlines on by themselves.
            mine = latest[position] if self.one_queue[semaphore] else latest[position:].min()
            found = min(found, int(mine))
        return found
