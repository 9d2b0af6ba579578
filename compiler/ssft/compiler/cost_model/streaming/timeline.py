"""Runs a step on queues, in order of need, and so finds its schedule.

Memory of the device is promised by *slots*, one for each segment: a tensor is fetched as early as
its queue is free and all slots until its use have room for it. That depends on nothing that happens
later, so one pass in the order of the segments settles everything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np

from ssft.compiler.cost_model.streaming.gaps import Gap, Visit, occupied
from ssft.compiler.cost_model.streaming.homes import Homes
from ssft.compiler.cost_model.streaming.machine import Machine
from ssft.compiler.cost_model.streaming.schedule import Queue, Schedule, Transfer
from ssft.compiler.cost_model.streaming.step import Step, Update


class _Buffer:
    """The host's buffer in one direction: first in, first out."""

    def __init__(self, size: float) -> None:
        self.free, self.held = size, deque[tuple[float, float]]()

    def room(self, size: float, at: float) -> float:
        """Returns when there is room for `size` bytes, not before `at`."""
        while self.free < size and self.held:
            end, back = self.held.popleft()
            self.free += back
            at = max(at, end)
        return at

    def hold(self, size: float, until: float) -> None:
        """Takes the room until a time."""
        self.free -= size
        self.held.append((until, size))


class Timeline:
    """One run. `kept` are numbers of `found` gaps over which tensors stay on the device."""

    def __init__(
        self,
        step: Step,
        machine: Machine,
        visited: Sequence[Sequence[Visit]],
        found: Sequence[Gap],
        kept: AbstractSet[int],
        homes: Homes,
    ) -> None:
        self.step, self.machine, self.homes = step, machine, homes
        count = len(step.segments)
        self.profile = occupied(step, visited)
        for number in kept:
            for part in found[number].slices(count):
                self.profile[part] += found[number].load
        self.stays, self.resident, self.remains = _joined(step, visited, found, kept)
        self.slots, self.begins, self.ends = np.zeros(count), np.zeros(count), np.zeros(count)
        self.free: dict[Queue, float] = {}
        self.at_home: dict[int, float] = {}
        self.left_at = [-1] * len(step.tensors)
        self.pending: list[tuple[float, float]] = []
        self.into, self.out = _Buffer(homes.staging), _Buffer(homes.staging)
        self.transfers: list[Transfer] = []
        self.waiting = {n: u for u in step.updates for n in u.gradients}
        self.arrived: dict[int, float] = {}

    def run(self) -> Schedule:
        """Returns the schedule."""
        loads, leaves = self._events()
        now = 0.0
        for number, segment in enumerate(self.step.segments):
            self.slots[number] = now = self._wait_for_room(number, now)
            ready = [now, *(self._load(tensor, number) for tensor in loads[number])]
            self.begins[number] = max(ready)
            now = self.begins[number] + segment.flops / self.machine.compute
            self.ends[number] = now
            for tensor in leaves[number]:
                self._leave(tensor, number, now)
        return Schedule(
            self.step,
            self.machine,
            tuple(map(tuple, self.stays)),
            frozenset(self.resident),
            frozenset(self.remains),
            self.homes,
            self.slots.tolist(),
            self.begins.tolist(),
            self.ends.tolist(),
            tuple(self.transfers),
        )

    def _events(self) -> tuple[list[list[int]], list[list[int]]]:
        """Tensors by the segment for which they come, and by the one after which they go."""
        count = len(self.step.segments)
        loads: list[list[int]] = [[] for _ in range(count)]
        leaves: list[list[int]] = [[] for _ in range(count)]
        for number, tensor in enumerate(self.step.tensors):
            for visit in self.stays[number]:
                made = tensor.temporary and visit[0] == tensor.uses[0]
                there = number in self.resident and visit[0] == 0
                if not made and not there:
                    loads[visit[0]].append(number)
                if not (number in self.remains and visit[1] == count - 1):
                    leaves[visit[1]].append(number)
        return loads, leaves

    def _wait_for_room(self, number: int, now: float) -> float:
        """Returns when a slot can begin: tensors on their way out may still be in the way."""
        self.pending = sorted(item for item in self.pending if item[0] > now)
        self.profile[number] += sum(size for _, size in self.pending)
        while self.pending and self.profile[number] > self.machine.device:
            now, size = self.pending.pop(0)
            self.profile[number] -= size
        return now

    def _work(self, queue: Queue, ready: float, amount: float, **what: int) -> Transfer:
        """Puts work at the end of a queue."""
        start = max(ready, self.free.get(queue, 0.0))
        end = start + amount / getattr(self.machine, queue)
        self.free[queue] = end
        self.transfers.append(Transfer(queue, bytes=amount, start=start, end=end, **what))
        return self.transfers[-1]

    def _load(self, tensor: int, number: int) -> float:
        """Brings a tensor for a segment; returns when it is there."""
        size = self.step.tensors[tensor].bytes
        ready = self.at_home.get(tensor, 0.0)
        staged = self.homes.of[tensor] == "ssd"
        if staged:
            ready = self._read(tensor, ready, number)
        ready = max(ready, self.free.get("to_device", 0.0))
        slot = self._slot(tensor, size, number, ready)
        self.profile[slot:number] += size
        moved = self._work(
            "to_device",
            max(ready, float(self.slots[slot])),
            size,
            tensor=tensor,
            slot=slot,
            needed=number,
        )
        if staged:
            self.into.hold(size, moved.end)
        return moved.end

    def _slot(self, tensor: int, size: float, number: int, ready: float) -> int:
        """Returns the slot with which a load may begin, no earlier than it can make use of it."""
        first = self.left_at[tensor] + 1
        full = np.flatnonzero(self.profile[first:number] + size > self.machine.device)
        earliest = first + int(full[-1]) + 1 if len(full) else first
        begun = max(ready, float(self.slots[earliest]))
        last = int(np.searchsorted(self.slots[: number + 1], begun, side="right")) - 1
        return max(earliest, last)

    def _read(self, tensor: int, ready: float, number: int) -> float:
        """Reads a tensor from the SSD into the host's buffer."""
        size = self.step.tensors[tensor].bytes
        ready = self.into.room(size, ready)
        return self._work("ssd_read", ready, size, tensor=tensor, slot=number).end

    def _leave(self, tensor: int, number: int, now: float) -> None:
        """Sends a tensor home at the end of a visit, if what is at home is not what it is now."""
        self.left_at[tensor] = number
        described = self.step.tensors[tensor]
        begin = next(first for first, last in self.stays[tensor] if last == number)
        changed = any(begin <= use <= number for use in described.written)
        over = described.temporary and number >= described.uses[-1]
        update = self.waiting.get(tensor) if over and described.on_host else None
        if update is not None:
            self._deliver(tensor, update, number, now)
        elif changed and not over:
            ready = self._send(tensor, number, now)
            if self.homes.of[tensor] == "ssd":
                self.at_home[tensor] = self._write(tensor, ready, number)
            else:
                self.at_home[tensor] = ready

    def _send(self, tensor: int, number: int, now: float) -> float:
        size = self.step.tensors[tensor].bytes
        if self.homes.of.get(tensor) == "ssd":
            now = self.out.room(size, now)
        moved = self._work("to_host", now, size, tensor=tensor, slot=number)
        self.pending.append((moved.end, size))
        return moved.end

    def _write(self, tensor: int, ready: float, number: int) -> float:
        """Writes what is in the host's buffer to the SSD."""
        size = self.step.tensors[tensor].bytes
        written = self._work("ssd_write", ready, size, tensor=tensor, slot=number)
        self.out.hold(size, written.end)
        return written.end

    def _deliver(self, tensor: int, update: Update, number: int, now: float) -> None:
        """Sends a gradient to the host, and updates the parameter there when all have come."""
        self.arrived[tensor] = self._send(tensor, number, now)
        if not all(gradient in self.arrived for gradient in update.gradients):
            return
        ready = max(self.arrived[gradient] for gradient in update.gradients)
        on_ssd = [n for n in (update.weight, *update.states) if self.homes.of.get(n) == "ssd"]
        for part in on_ssd:
            ready = max(ready, self._read(part, 0.0, number))
        done = self._work(
            "host_update", ready, update.elements, tensor=update.weight, slot=number
        ).end
        for part in on_ssd:
            self.into.hold(self.step.tensors[part].bytes, done)
            self._write(part, self.out.room(self.step.tensors[part].bytes, done), number)


def _joined(
    step: Step,
    visited: Sequence[Sequence[Visit]],
    found: Sequence[Gap],
    kept: AbstractSet[int],
) -> tuple[list[list[Visit]], set[int], set[int]]:
    """Visits with those joined between which a tensor stays, and who is there at start and end."""
    stays = [list(visits) for visits in visited]
    resident: set[int] = set()
    count = len(step.segments)
    bridges = {(found[n].tensor, found[n].after): found[n] for n in kept}
    for number, visits in enumerate(visited):
        joined: list[Visit] = []
        for visit in visits:
            before = bridges.get((number, joined[-1][1])) if joined else None
            if before is not None and not before.wraps:
                joined[-1] = (joined[-1][0], visit[1])
            else:
                joined.append(visit)
        if visits and (last := bridges.get((number, visits[-1][1]))) and last.wraps:
            resident.add(number)
            if len(joined) == 1:
                joined = [(0, count - 1)]
            else:
                joined[0], joined[-1] = (0, joined[0][1]), (joined[-1][0], count - 1)
        stays[number] = joined
    return stays, resident, set(resident)
