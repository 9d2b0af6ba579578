"""Semaphores: which commands post, and what each command waits for.

Semaphore q counts the completed commands of queue q that post. A command that must wait for the
n-th posting command of queue q waits until semaphore q is at least n.

What a command that waits knows to be complete is kept as a vector clock: for each queue, how many
of its first commands. Within a queue commands *start* in order and also *complete* in order; a unit
other than DMA starts a command only when the one before it is complete, while a DMA command may
start before the last bytes of the one before it have arrived. So a DMA command that depends on an
earlier one of its own queue waits for its own queue's semaphore.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ssft.compiler.backends.hw.scheduling.task import Task
from ssft.hwmodel.isa import Command, Queue, Wait

OVERLAPPING = frozenset({Queue.DMA_IN, Queue.DMA_OUT})
"""Queues whose commands may start before the one before them is complete."""


@dataclass(frozen=True, slots=True)
class Synchronization:
    """`posts`: for each task whether it posts; `waits`: for each task the tasks it waits for.

    `waits` has at most one task of each queue.
    """

    posts: list[bool]
    waits: list[tuple[int, ...]]


def synchronize(
    tasks: Sequence[Task],
    order: Mapping[Queue, Sequence[int]],
    predecessors: Sequence[Sequence[int]],
) -> dict[Queue, list[Command]]:
    """The final command streams, in which every predecessor is waited for.

    A command's last wait is its own; further ones are `Wait` commands before it. Raises
    ValueError if the queues would wait for each other for ever.
    """
    plan = plan_waits(tasks, order, predecessors)
    value = [0] * len(tasks)
    for numbers in order.values():
        posted = 0
        for number in numbers:
            posted += plan.posts[number]
            value[number] = posted
    streams: dict[Queue, list[Command]] = {}
    for queue in Queue:
        stream: list[Command] = []
        for number in order.get(queue, ()):
            command = tasks[number].command
            post = int(queue) if plan.posts[number] else None
            *further, own = plan.waits[number] or (None,)
            for other in further:
                semaphore = int(tasks[other].queue)
                stream.append(Wait(tag=command.tag, wait=semaphore, wait_value=value[other]))
            if own is not None:
                semaphore = int(tasks[own].queue)
                command = replace(command, wait=semaphore, wait_value=value[own], post=post)
            elif post is not None:
                command = replace(command, post=post)
            stream.append(command)
        streams[queue] = stream
    return streams


def plan_waits(
    tasks: Sequence[Task],
    order: Mapping[Queue, Sequence[int]],
    predecessors: Sequence[Sequence[int]],
) -> Synchronization:
    """The fewest waits: those that neither queue order nor another wait makes superfluous.

    Raises ValueError if the queues would wait for each other for ever.
    """
    posts = [False] * len(tasks)
    waits: list[tuple[int, ...]] = [()] * len(tasks)
    place = [0] * len(tasks)  # in its queue; 1 for the first
    rank = [0] * len(tasks)  # in an order in which all can be executed
    known: list[list[int]] = [[]] * len(tasks)  # the vector clock when the task starts
    clocks = [[0] * len(Queue) for _ in Queue]  # the vector clock of each queue's next start
    started = [0] * len(Queue)
    for position, number in enumerate(_executable(tasks, order, predecessors)):
        queue = tasks[number].queue
        now = clocks[queue].copy()
        chosen: list[int] = []
        # The latest first: an earlier one cannot imply a later one.
        for before in sorted(predecessors[number], key=rank.__getitem__, reverse=True):
            other = tasks[before].queue
            if place[before] > now[other]:
                chosen.append(before)
                posts[before] = True
                now = list(map(max, now, known[before]))
                now[other] = place[before]
        started[queue] += 1
        rank[number], place[number] = position, started[queue]
        known[number], waits[number] = now, tuple(reversed(chosen))
        if queue in OVERLAPPING:
            clocks[queue] = now
        else:
            clocks[queue] = now.copy()
            clocks[queue][queue] = started[queue]
    return Synchronization(posts, waits)


def _executable(
    tasks: Sequence[Task],
    order: Mapping[Queue, Sequence[int]],
    predecessors: Sequence[Sequence[int]],
) -> Iterator[int]:
    """The tasks in an order that keeps to all queues and has predecessors first."""
    done = [False] * len(tasks)
    heads = {queue: 0 for queue in order}
    left = sum(map(len, order.values()))
    while left:
        before = left
        for queue, numbers in order.items():
            head = heads[queue]
            while head < len(numbers) and all(map(done.__getitem__, predecessors[numbers[head]])):
                done[numbers[head]] = True
                yield numbers[head]
                head += 1
            left -= head - heads[queue]
            heads[queue] = head
        if left == before:
            stuck = min(
                numbers[heads[q]] for q, numbers in order.items() if heads[q] < len(numbers)
            )
            raise ValueError(f"the queues wait for each other for ever, from task {stuck} on")
