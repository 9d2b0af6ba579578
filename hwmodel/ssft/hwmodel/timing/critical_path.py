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

from ssft.hwmodel.timing.event_loop import FENCE, TRANSFER
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
    bandwidth with; and posts of several queues to one semaphore to come in the order in which they
    came, so that slack there is at least this.
    """
    s, stream = simulation, simulation.stream
    size = len(stream)
    latest_complete = [simulation.cycles] * size
    latest_leave = [simulation.cycles] * size
    leave, start = s.leave.tolist(), s.start.tolist()
    first = set(stream.first)
    counts = [[count for count, _ in reached] for reached in s.reached]
    wait, value = stream.wait.tolist(), stream.wait_value.tolist()
    fence = (s.kind == FENCE).tolist()
    transfer = (s.kind == TRANSFER).tolist()
    for i in reversed(s.order.tolist()):
        delay = s.latency if transfer[i] else 0
        leaves = latest_leave[i] = min(latest_leave[i], latest_complete[i] - delay)
        starts = leaves if fence[i] else leaves - (leave[i] - start[i])
        if wait[i] >= 0 and value[i] > 0:
            producer = s.reached[wait[i]][bisect_left(counts[wait[i]], value[i])][1]
            latest_complete[producer] = min(latest_complete[producer], starts)
        if i not in first:
            latest_leave[i - 1] = min(latest_leave[i - 1], starts - s.issue_cycles)
            held = leaves if fence[i] else latest_complete[i]
            latest_complete[i - 1] = min(latest_complete[i - 1], held)
    return np.array(latest_leave, dtype=np.int64) - s.leave
