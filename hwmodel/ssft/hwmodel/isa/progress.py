"""Do the semaphores let every queue come to its end? Decided without any times.

Semaphores only count up, so the order in which ready commands are executed cannot change which
commands are executed in the end: one simulation decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ssft.hwmodel.isa.command_encoding import place_name
from ssft.hwmodel.isa.commands import Command, Post, Queue

Queues = Mapping[Queue, Sequence[Command]]


def semaphore_problems(queues: Queues) -> list[str]:
    """Waits for more than is ever posted, and commands at which a queue stops for ever."""
    totals: Counter[int] = Counter()
    for commands in queues.values():
        for command in commands:
            _post(command, totals)
    found, hopeless = _unreachable(queues, totals)
    stopped, counts = _run(queues)
    for queue, position in stopped.items():
        command = queues[queue][position]
        if (queue, position) in hopeless or command.wait is None:
            continue
        message = (
            f"{place_name(queue, position, command)} never starts: it waits for semaphore "
            f"{command.wait} to reach {command.wait_value}, which stays at {counts[command.wait]}"
        )
        poster = _next_post(queues, stopped, command.wait)
        if poster is not None:
            message += f"; the next to post it is {poster}, which never starts either"
        found.append(message)
    return found


def _post(command: Command, counts: Counter[int]) -> None:
    if command.post is not None:
        counts[command.post] += 1
    if isinstance(command, Post):
        counts[command.semaphore] += command.amount


def _unreachable(queues: Queues, totals: Counter[int]) -> tuple[list[str], set[tuple[Queue, int]]]:
    found, places = [], set()
    for queue, commands in queues.items():
        for position, command in enumerate(commands):
            if command.wait is None or command.wait_value <= totals[command.wait]:
                continue
            places.add((queue, position))
            found.append(
                f"{place_name(queue, position, command)} waits for semaphore {command.wait} to "
                f"reach {command.wait_value}, but the whole program posts it "
                f"{totals[command.wait]} times"
            )
    return found, places


def _run(queues: Queues) -> tuple[dict[Queue, int], Counter[int]]:
    """Executes what can be executed; returns where queues stop early, and the semaphores."""
    counts: Counter[int] = Counter()
    at = dict.fromkeys(queues, 0)
    progress = True
    while progress:
        progress = False
        for queue, commands in queues.items():
            start = position = at[queue]
            while position < len(commands):
                command = commands[position]
                if command.wait is not None and counts[command.wait] < command.wait_value:
                    break
                _post(command, counts)
                position += 1
            at[queue] = position
            progress = progress or position > start
    stopped = {queue: n for queue, n in at.items() if n < len(queues[queue])}
    return stopped, counts


def _next_post(queues: Queues, stopped: Mapping[Queue, int], semaphore: int | None) -> str | None:
    """The first command of a stopped queue that would post a semaphore."""
    for queue, start in stopped.items():
        for position in range(start, len(queues[queue])):
            command = queues[queue][position]
            posts = isinstance(command, Post) and command.semaphore == semaphore
            if posts or command.post == semaphore:
                return place_name(queue, position, command)
    return None
