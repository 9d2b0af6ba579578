"""Runs of equal layers: what a period of the machine did, it does again.

The event loop is deterministic. If the machine is twice in one *state*, apart from where its queues
and semaphores stand and from what time it is, and if the commands that follow are, for a number of
periods, those of the period between, then so is all that happens, later by one period each time. It
is then written down without being simulated.

A state is all that decides what comes next: how long each unit will take, which transfers flow and
are outstanding, who waits for what. A command's part in it are its cycles, its kind, its semaphores
and how far the value that it waits for is ahead. A value that was reached before a period began
lets its command pass, however far behind it is.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ssft.hwmodel.isa import Queue
from ssft.hwmodel.timing.stream import CommandStream

if TYPE_CHECKING:
    from ssft.hwmodel.timing.event_loop import EventLoop

NEVER = 1 << 62
LEAST_COMMANDS = 64
"""Shorter queues are not worth looking for periods in."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where the machine stood: positions in queues, semaphores, and lengths of its records."""

    now: int
    heads: tuple[int, ...]
    counts: tuple[int, ...]
    order: int
    reached: tuple[int, ...]


class SteadyState:
    """Finds periods of one run of an event loop, and skips their repetitions.

    `skipped` counts commands that were not simulated.
    """

    def __init__(self, stream: CommandStream, loop: EventLoop) -> None:
        self._loop = loop
        self._queue = stream.queue
        self._wait, self._value = stream.wait, stream.wait_value
        columns = (
            *(np.array(loop.kind), np.array(loop.cycles), stream.wait, stream.post),
            *(stream.amount, stream.extra_post),
        )
        self._alike = np.unique(np.stack(columns), axis=1, return_inverse=True)[1].reshape(-1)
        sizes = np.diff(stream.first)[Queue.TENSOR :]
        self._anchor = int(Queue.TENSOR + sizes.argmax())
        mine = stream.of(Queue(self._anchor))
        starts = np.flatnonzero(np.diff(stream.tag[mine])) + mine.start + 1
        self._checkpoints = starts.tolist()[::-1] if sizes.max() >= LEAST_COMMANDS else []
        self._marks: dict[Hashable, _Mark] = {}
        self.skipped = 0
        self.next = self._checkpoints.pop() if self._checkpoints else NEVER
        """The position of the anchor queue at which `look` wants to be called."""

    @property
    def anchor(self) -> int:
        """The queue whose position says when to look."""
        return self._anchor

    def look(self, now: int) -> int:
        """Compares the machine with what it was before; returns how many cycles it skipped.

        To be called between events, the next of which is at `now`.
        """
        key, mark = self._key(now), self._mark(now)
        before = self._marks.get(key)
        cycles = 0
        if before is not None:
            periods = self._periods(before, mark)
            if periods:
                _Skip(self._loop, self._queue, before, mark).make(periods)
                cycles = periods * (mark.now - before.now)
                moved = (b - a for a, b in zip(before.heads, mark.heads, strict=True))
                self.skipped += periods * sum(moved)
                self._marks.clear()
                key, mark = self._key(now + cycles), self._mark(now + cycles)
        self._marks[key] = mark
        head = self._loop.head[self._anchor]
        while self.next <= head:
            self.next = self._checkpoints.pop() if self._checkpoints else NEVER
        return cycles

    def _mark(self, now: int) -> _Mark:
        loop = self._loop
        reached = tuple(map(len, loop.times.reached))
        return _Mark(now, tuple(loop.head), tuple(loop.count), len(loop.times.order), reached)

    def _key(self, now: int) -> Hashable:
        """The state of the machine, apart from positions and time."""
        loop = self._loop
        waiting = {queue for queues in loop.waiting for queue in queues}
        heads: list[Hashable] = []
        for queue, head in enumerate(loop.head):
            if head == loop.stop[queue]:
                heads.append(None)
                continue
            since = loop.times.issue[head] - now, loop.times.start[head] - now
            if queue in waiting:
                since = since[0], loop.value[head] - loop.count[loop.wait[head]]
            heads.append((int(self._alike[head]), *since))
        pending = tuple(
            tuple((command - loop.head[q], loop.times.complete[command] - now) for command in found)
            for q, found in enumerate(loop.pending)
        )
        return (
            tuple(heads),
            tuple(when if when == NEVER else when - now for when in loop.when),
            *(tuple(loop.flowing), tuple(loop.remaining) if any(loop.flowing) else ()),
            now - loop.settled if any(loop.flowing) else 0,
            tuple(max(left - now, 0) for left in loop.left),
            *(pending, tuple(map(tuple, loop.waiting))),
        )

    def _periods(self, before: _Mark, after: _Mark) -> int:
        """For how many more periods each queue holds what it held in the one between two marks."""
        counts = np.subtract(after.counts, before.counts)
        found = NEVER
        for queue, (old, new) in enumerate(zip(before.heads, after.heads, strict=True)):
            step = new - old
            if not step:
                continue
            # The state holds the command at a head, so that it has to be the same, too.
            alike = self._matching(new, self._loop.stop[queue], step, counts, after) - 1
            found = min(found, alike // step)
            if found <= 0:
                return 0
        return 0 if found == NEVER else int(found)

    def _matching(self, first: int, stop: int, step: int, counts: np.ndarray, after: _Mark) -> int:
        """How many commands from `first` on do what those `step` before them did."""
        new, old = slice(first, stop), slice(first - step, stop - step)
        wait, value, earlier = self._wait[new], self._value[new], self._value[old]
        raised = np.where(wait >= 0, counts[wait], 0)
        period = np.arange(stop - first) // step
        reached = np.where(wait >= 0, np.asarray(after.counts)[wait], 0) + period * raised
        passes = (value <= reached) & (earlier <= reached - raised)
        same = (self._alike[new] == self._alike[old]) & (passes | (value - earlier == raised))
        differs = np.flatnonzero(~same)
        return int(differs[0]) if len(differs) else stop - first


class _Skip:
    """Writes down what happens in repetitions of the period between two marks."""

    def __init__(self, loop: EventLoop, queue: np.ndarray, before: _Mark, after: _Mark) -> None:
        self._loop, self._before, self._after = loop, before, after
        self._cycles = after.now - before.now
        self._steps = np.subtract(after.heads, before.heads)
        self._counts = np.subtract(after.counts, before.counts)
        self._queue = queue

    def make(self, periods: int) -> None:
        """Moves the machine on by `periods` periods."""
        later = np.arange(1, periods + 1)[:, None]
        for queue, step in enumerate(self._steps.tolist()):
            if step:
                self._repeat_commands(queue, step, later)
        self._repeat_records(later)
        loop, cycles = self._loop, periods * self._cycles
        loop.head[:] = (np.array(loop.head) + periods * self._steps).tolist()
        loop.count[:] = (np.array(loop.count) + periods * self._counts).tolist()
        loop.when[:] = [when if when == NEVER else when + cycles for when in loop.when]
        loop.left[:] = [left + cycles for left in loop.left]
        loop.settled += cycles
        for pending, step in zip(loop.pending, self._steps.tolist(), strict=False):
            moved = [command + periods * step for command in pending]
            pending.clear()
            pending.extend(moved)

    def _repeat_commands(self, queue: int, step: int, later: np.ndarray) -> None:
        """The times of a queue's commands: of those that leave, and of the one at the new head.

        The one at the head has issued, and has also started unless it waits.
        """
        times, head = self._loop.times, self._after.heads[queue]
        waits = any(queue in waiting for waiting in self._loop.waiting)
        started = head if waits else head + 1
        for values, first in (
            (times.issue, head + 1),
            (times.start, started),
            (times.leave, head),
            (times.complete, head),
        ):
            part = np.array(values[first - step : first])
            values[first : first + part.size * len(later)] = _flat(part + later * self._cycles)
        part = np.array(times.producer[started - step : started])
        moved = np.where(part >= 0, part + later * self._steps[self._queue[part]], -1)
        times.producer[started : started + moved.size] = _flat(moved)

    def _repeat_records(self, later: np.ndarray) -> None:
        """The order in which commands left, and the values that semaphores reached."""
        times, before = self._loop.times, self._before
        part = np.array(times.order[before.order :], dtype=np.int64)
        times.order.extend(_flat(part + later * self._steps[self._queue[part]]))
        for semaphore, reached in enumerate(times.reached):
            part = np.array(reached[before.reached[semaphore] :], dtype=np.int64).reshape(-1, 2)
            values = part[:, 0] + later * self._counts[semaphore]
            commands = part[:, 1] + later * self._steps[self._queue[part[:, 1]]]
            reached.extend(zip(_flat(values), _flat(commands), strict=True))


def _flat(values: np.ndarray) -> list[int]:
    return values.reshape(-1).tolist()
