"""Races: accesses of the same bytes, at least one a write, in an order that nothing fixes.

Every access is compared with those of other queues that its command is not ordered after. Of two
unordered accesses one comes second in any run, so whether a race is found does not depend on the
order in which the queues happen to run.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ssft.hwmodel.isa import Queue
from ssft.hwmodel.machine.errors import Site
from ssft.hwmodel.machine.footprints import Footprint, overlap
from ssft.hwmodel.machine.jit import jit
from ssft.hwmodel.machine.ordering import Clocks

_POSITION, _LOW, _HIGH, _WRITE = range(4)


@jit
def _find(
    rows: NDArray[np.int64], start: int, stop: int, low: int, high: int, write: int
) -> int:  # pragma: no cover, compiled
    """The first of ``rows[start:stop]`` that conflicts with an access to [low, high), or -1."""
    for i in range(start, stop):
        if rows[i, 1] < high and low < rows[i, 2] and (write | rows[i, 3]):
            return i
    return -1


@dataclass(slots=True)
class _Log:
    """The accesses of one queue to one memory, in the order of execution."""

    rows: NDArray[np.int64] = field(default_factory=lambda: np.empty((64, 4), np.int64))
    footprints: list[tuple[Footprint, int]] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)

    def append(self, position: int, base: int, footprint: Footprint, write: bool) -> None:
        count = len(self.positions)
        if count == len(self.rows):
            self.rows = np.concatenate([self.rows, np.empty_like(self.rows)])
        self.rows[count] = (position, base + footprint.low, base + footprint.high, write)
        self.footprints.append((footprint, base))
        self.positions.append(position)

    def first_from(self, position: int) -> int:
        """The number of the first access by a command at `position` or later."""
        return bisect_left(self.positions, position)


class RaceDetector:
    """The accesses to one memory during a run."""

    def __init__(self, clocks: Clocks) -> None:
        self.clocks = clocks
        self.logs = {queue: _Log() for queue in Queue}

    def access(
        self, site: Site, base: int, footprint: Footprint, write: bool
    ) -> tuple[Site, bool] | None:
        """Notes an access; returns an earlier one that it races with, and if that is a write."""
        self.logs[site.queue].append(site.position, base, footprint, write)
        for other, found in self._conflicts(site, base, footprint, write):
            theirs, their_base = self.logs[other].footprints[found]
            if overlap(footprint, base, theirs, their_base):
                row = self.logs[other].rows[found]
                return Site(other, int(row[_POSITION])), bool(row[_WRITE])
        return None

    def _conflicts(
        self, site: Site, base: int, footprint: Footprint, write: bool
    ) -> Iterator[tuple[Queue, int]]:
        clock = self.clocks[site.queue][site.position]
        low, high = base + footprint.low, base + footprint.high
        for other, log in self.logs.items():
            count = len(log.positions)
            if other == site.queue or not count or log.positions[-1] < clock[other]:
                continue
            found = log.first_from(int(clock[other])) - 1
            while (found := _find(log.rows, found + 1, count, low, high, int(write))) >= 0:
                yield other, found
