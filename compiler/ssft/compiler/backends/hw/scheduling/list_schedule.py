"""In which order each of the five queues gets its commands: list scheduling."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from ssft.compiler.backends.hw.scheduling.task import Task
from ssft.hwmodel.isa import Queue

_DMA = (Queue.DMA_IN, Queue.DMA_OUT)


class Schedule(NamedTuple):
    """The task numbers of each queue in order, and the estimated cycle at which all are done."""

    order: dict[Queue, list[int]]
    makespan: float


def critical_path(
    tasks: Sequence[Task], predecessors: Sequence[Sequence[int]], latency: int = 0
) -> list[int]:
    """The cycles from the start of each task to the end of the step if no unit were ever busy.

    `latency` is what a DMA task takes, beyond its duration, until others see its bytes.
    """
    after = [0] * len(tasks)
    for number in range(len(tasks) - 1, -1, -1):
        task = tasks[number]
        after[number] += task.duration + (latency if task.queue in _DMA else 0)
        for before in predecessors[number]:
            if after[before] < after[number]:
                after[before] = after[number]
    return after


def list_schedule(
    tasks: Sequence[Task], predecessors: Sequence[Sequence[int]], latency: int = 0
) -> Schedule:
    """Orders tasks by simulating the machine: a free unit takes the ready task that matters most.

    What matters is the critical path from its end to that of the step (Jackson's rule for one
    machine with delivery times); of equal tasks the first in program order goes first. A task is
    ready when all its predecessors are complete, which for DMA is `latency` cycles after its unit
    is free again. While both DMA queues are busy each goes at half speed. The orders together are
    a projection of one order in time, so they cannot deadlock.

    `predecessors` are numbers lower than the task's own. O(n log n) for n tasks and edges.
    """
    return _Simulation(tasks, predecessors, latency).run()


class _Simulation:
    """An event-driven run of the five units.

    Events are ``(time, kind, number, version)``: a unit becomes free, or a task becomes complete.
    A DMA event whose version is old was superseded when the other queue started or stopped.
    """

    def __init__(
        self, tasks: Sequence[Task], predecessors: Sequence[Sequence[int]], latency: int
    ) -> None:
        self._tasks = tasks
        self._latency = latency
        paths = critical_path(tasks, predecessors, latency)
        # Without its own duration: of the tasks that wait for one unit, that with the most work
        # behind it must be done first, however long it takes itself.
        self._priority = [task.duration - cycles for task, cycles in zip(tasks, paths, strict=True)]
        self._missing = [len(found) for found in predecessors]
        self._successors: list[list[int]] = [[] for _ in tasks]
        for number, found in enumerate(predecessors):
            for before in found:
                self._successors[before].append(number)
        self._ready: list[list[tuple[int, int]]] = [[] for _ in Queue]
        self._order: list[list[int]] = [[] for _ in Queue]
        self._running: list[int | None] = [None for _ in Queue]
        self._left = [0.0 for _ in _DMA]  # cycles of the running DMA task at full speed
        self._version = [0 for _ in _DMA]
        self._updated = 0.0
        self._end = 0.0
        self._events: list[tuple[float, int, int, int]] = []

    def run(self) -> Schedule:
        """Runs to the end. Raises ValueError if predecessors have a cycle."""
        for number, missing in enumerate(self._missing):
            if not missing:
                heappush(self._ready[self._tasks[number].queue], (self._priority[number], number))
        self._start_all(0.0)
        while self._events:
            now = self._events[0][0]
            while self._events and self._events[0][0] <= now:
                _, kind, number, version = heappop(self._events)
                if kind == _COMPLETE:
                    self._complete(number, now)
                else:
                    self._free(number, version, now)
            self._start_all(now)
        if sum(map(len, self._order)) != len(self._tasks):
            raise ValueError("tasks wait for each other in a circle")
        return Schedule({queue: self._order[queue] for queue in Queue}, self._end)

    def _complete(self, number: int, now: float) -> None:
        self._end = now
        missing, ready, tasks, priority = self._missing, self._ready, self._tasks, self._priority
        for after in self._successors[number]:
            missing[after] -= 1
            if not missing[after]:
                heappush(ready[tasks[after].queue], (priority[after], after))

    def _free(self, queue: int, version: int, now: float) -> None:
        """A unit has done its work."""
        number = self._running[queue]
        if queue > Queue.DMA_OUT:
            self._running[queue] = None
            assert number is not None
            self._complete(number, now)
        elif version == self._version[queue]:
            self._progress(now)
            self._running[queue] = None
            assert number is not None
            heappush(self._events, (now + self._latency, _COMPLETE, number, 0))
            self._expect(now)

    def _start_all(self, now: float) -> None:
        """Gives each free unit that has a ready task the most urgent one."""
        for queue, ready in enumerate(self._ready):
            if not ready or self._running[queue] is not None:
                continue
            number = heappop(ready)[1]
            self._order[queue].append(number)
            if queue > Queue.DMA_OUT:
                self._running[queue] = number
                end = now + self._tasks[number].duration
                heappush(self._events, (end, _FREE, queue, 0))
            else:
                self._progress(now)
                self._running[queue] = number
                self._left[queue] = self._tasks[number].duration
                self._expect(now)

    def _progress(self, now: float) -> None:
        """Brings the work that is left of the running DMA tasks up to date."""
        busy = [queue for queue in _DMA if self._running[queue] is not None]
        for queue in busy:
            self._left[queue] -= (now - self._updated) / len(busy)
        self._updated = now

    def _expect(self, now: float) -> None:
        """Says when the running DMA tasks will be done if nothing changes."""
        busy = [queue for queue in _DMA if self._running[queue] is not None]
        for queue in busy:
            self._version[queue] += 1
            end = now + max(self._left[queue], 0.0) * len(busy)
            heappush(self._events, (end, _FREE, int(queue), self._version[queue]))


_COMPLETE, _FREE = 0, 1
