"""Happens-before: which commands of other queues are complete when a command starts.

Semaphores only count up and never reset, so whether a program can run to its end, and what is
ordered before what, does not depend on how the queues interleave: one abstract run decides both.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

from ssft.hwmodel.isa import Command, Post, Program, Queue
from ssft.hwmodel.isa.commands import SEMAPHORES
from ssft.hwmodel.machine.errors import DeadlockError, Site

Clocks = dict[Queue, NDArray[np.int64]]
"""For each queue ``[commands + 1, queues]``: row i says how many commands of every queue are
complete before command i starts. The last row is for the end of the queue."""


def posts(command: Command) -> tuple[tuple[int, int], ...]:
    """The (semaphore, amount) pairs that a command adds when it is complete."""
    own = () if command.post is None else ((command.post, 1),)
    return (*own, (command.semaphore, command.amount)) if isinstance(command, Post) else own


class _Posts:
    """For a semaphore and a queue: after which commands the queue's share of the count is what."""

    def __init__(self) -> None:
        self.positions: list[int] = []
        self.sums: list[int] = []

    def add(self, position: int, amount: int) -> None:
        self.positions.append(position)
        self.sums.append((self.sums[-1] if self.sums else 0) + amount)

    @property
    def total(self) -> int:
        return self.sums[-1] if self.sums else 0

    def before(self, position: int) -> int:
        """The share of the commands before `position`."""
        found = bisect_left(self.positions, position)
        return self.sums[found - 1] if found else 0


class _Order:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.posts = [{queue: _Posts() for queue in Queue} for _ in range(SEMAPHORES)]
        for queue, commands in program.queues.items():
            for position, command in enumerate(commands):
                for semaphore, amount in posts(command):
                    self.posts[semaphore][queue].add(position, amount)
        self.clocks = {
            queue: np.zeros((len(program.queues[queue]) + 1, len(Queue)), np.int64)
            for queue in Queue
        }
        self.done = dict.fromkeys(Queue, 0)
        self.counts = [0] * SEMAPHORES

    def witnesses(self, queue: Queue, position: int, command: Command) -> list[Site]:
        """The commands of other queues that are complete for sure once the wait is over.

        A count of v proves that a queue has posted what all others together cannot have.
        """
        if command.wait is None:
            return []
        shares = self.posts[command.wait]
        most = {q: p.before(position) if q == queue else p.total for q, p in shares.items()}
        found = []
        for other, share in shares.items():
            least = command.wait_value - (sum(most.values()) - most[other])
            if other != queue and least > 0:
                found.append(Site(other, share.positions[bisect_left(share.sums, least)]))
        return found

    def advance(self, queue: Queue) -> bool:
        """Lets a queue run until it blocks; says whether it ran at all."""
        commands, clocks = self.program.queues[queue], self.clocks[queue]
        start = position = self.done[queue]
        while position < len(commands):
            command = commands[position]
            if command.wait is not None and self.counts[command.wait] < command.wait_value:
                break
            for site in self.witnesses(queue, position, command):
                clock = clocks[position]
                np.maximum(clock, self.clocks[site.queue][site.position], out=clock)
                clock[site.queue] = max(clock[site.queue], site.position + 1)
            clocks[position + 1] = clocks[position]
            clocks[position + 1, queue] = position + 1
            for semaphore, amount in posts(command):
                self.counts[semaphore] += amount
            position += 1
        self.done[queue] = position
        return position > start

    def blocked(self) -> str:
        """The head of every queue that cannot go on."""
        lines = []
        for queue in Queue:
            position = self.done[queue]
            if position < len(self.program.queues[queue]):
                command = self.program.queues[queue][position]
                assert command.wait is not None
                lines.append(
                    f"  {Site(queue, position).describe(self.program)}\n    waits for semaphore "
                    f"{command.wait} >= {command.wait_value}; it stays {self.counts[command.wait]}"
                )
        return "\n".join(lines)


def order(program: Program) -> Clocks:
    """The clock of every command; `DeadlockError` with all blocked heads if some never start."""
    state = _Order(program)
    # All queues must try in every round: a generator would stop at the first that moves.
    while any([state.advance(queue) for queue in Queue]):
        pass
    blocked = state.blocked()
    if blocked:
        raise DeadlockError(f"the program deadlocks; blocked queues:\n{blocked}")
    return state.clocks
