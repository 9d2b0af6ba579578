"""The commands of a program as flat arrays, and the shapes that decide what a command costs.

Two commands of one *shape* cost the same cycles, bytes and multiply-adds, wherever their operands
are. The phase belongs to the shape, because baseline machines may be credited with a sparsity that
depends on it. A step of many layers has few shapes, so everything that depends on a shape alone is
computed once per shape and spread over the commands by array indexing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from ssft.hwmodel import isa
from ssft.hwmodel.isa import Command, Phase, Program, Queue, SourceOp

UNITS: dict[Queue, str] = {queue: queue.name.lower() for queue in Queue}
"""Names of the units in reports: ``dma_in``, ``dma_out``, ``tensor``, ``vector``, ``index``."""

Key = Callable[[Any], Any]

_KEYS: dict[type[Command], Key] = {
    isa.Load2D: attrgetter("rows", "row_bytes", "pitch"),
    isa.Store2D: attrgetter("rows", "row_bytes", "pitch"),
    isa.GatherRows: attrgetter("count", "row_bytes", "pitch"),
    isa.ScatterRows: attrgetter("count", "row_bytes", "pitch"),
    isa.GatherColumns: attrgetter("rows", "count", "element_bytes", "pitch"),
    isa.ScatterColumns: attrgetter("rows", "count", "element_bytes", "pitch"),
    isa.Gemm: lambda c: (c.shape, c.index == isa.NO_LIST, c.accumulate),
    isa.Vector: attrgetter("program"),
    isa.AdamRows: attrgetter("program"),
    isa.SgdRows: attrgetter("program"),
    isa.ScatterAddRows: attrgetter("count", "row_elements"),
    isa.AccumulateScore: attrgetter("elements"),
    isa.CountRowsColumns: attrgetter("rows", "columns", "by_column"),
    isa.TopK: attrgetter("count", "k"),
    isa.Wait: lambda c: None,
    isa.Post: lambda c: None,
    isa.Fence: lambda c: None,
    isa.Mark: lambda c: None,
}
"""The fields of each command that decide its cost."""

UNKNOWN = isa.SourceOp("(no source operation)", "unknown", "forward")
"""What a tag stands for that the program's table of operations lacks."""


@dataclass(slots=True, eq=False, repr=False)
class CommandStream:
    """The commands of all queues in one sequence: queue by queue, in each queue's order.

    The arrays have one int64 per command. `first[q]` to ``first[q + 1]`` are the commands of queue
    `q`. `shape` is an index into `shapes`, whose entries are commands that stand for
    their shape; `shape_phases` are the phases of the shapes.
    `wait` and `post` are -1 where a command has none. A `Post` command appears as one that posts
    `amount` to its own semaphore; `extra_post` is its head's post then, and -1 otherwise. `tag` is
    an index into `operations`, which are the program's, and `UNKNOWN` where a tag is beyond them.
    """

    commands: list[Command]
    first: list[int]
    queue: np.ndarray
    shape: np.ndarray
    shapes: list[Command]
    shape_phases: list[Phase]
    wait: np.ndarray
    wait_value: np.ndarray
    post: np.ndarray
    amount: np.ndarray
    extra_post: np.ndarray
    tag: np.ndarray
    operations: list[SourceOp]

    def of(self, queue: Queue) -> slice:
        """The commands of a queue, as a slice of every array."""
        return slice(self.first[queue], self.first[queue + 1])

    def __len__(self) -> int:
        return len(self.commands)


def flatten(program: Program) -> CommandStream:
    """All of a program's commands as one stream."""
    commands: list[Command] = []
    first = [0]
    for queue in Queue:
        commands += program.queues.get(queue, [])
        first.append(len(commands))
    post = _numbers([-1 if c.post is None else c.post for c in commands])
    amount, extra = np.ones_like(post), np.full_like(post, -1)
    for i, command in enumerate(commands):
        if type(command) is isa.Post:
            extra[i], post[i], amount[i] = post[i], command.semaphore, command.amount
    operations = list(program.operations)
    tag = _numbers([c.tag for c in commands])
    if len(tag) and tag.max() >= len(operations):
        tag = np.minimum(tag, len(operations))
        operations.append(UNKNOWN)
    phases = [operation.phase for operation in operations]
    shape, shapes, shape_phases = _shapes(commands, [phases[t] for t in tag.tolist()])
    return CommandStream(
        commands=commands,
        first=first,
        queue=np.repeat(np.arange(len(Queue)), np.diff(first)),
        shape=shape,
        shapes=shapes,
        shape_phases=shape_phases,
        wait=_numbers([-1 if c.wait is None else c.wait for c in commands]),
        wait_value=_numbers([c.wait_value for c in commands]),
        post=post,
        amount=amount,
        extra_post=extra,
        tag=tag,
        operations=operations,
    )


def _shapes(
    commands: list[Command], phases: list[Phase]
) -> tuple[np.ndarray, list[Command], list[Phase]]:
    """The number of each command's shape, and one command and the phase of each shape."""
    numbers: dict[Any, int] = {}
    shapes: list[Command] = []
    shape_phases: list[Phase] = []
    of_command: list[int] = []
    for command, phase in zip(commands, phases, strict=True):
        kind = type(command)
        key = (kind, phase, _KEYS[kind](command))
        number = numbers.get(key)
        if number is None:
            number = numbers[key] = len(shapes)
            shapes.append(command)
            shape_phases.append(phase)
        of_command.append(number)
    return _numbers(of_command), shapes, shape_phases


def _numbers(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.int64)
