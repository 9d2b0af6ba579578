"""What can go wrong when a program runs: each error names the command, its source and the place."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa import Command, Program, Queue


class OutOfBoundsError(MachineError):
    """An access outside a memory or a buffer, a bad index, or an address that is not aligned."""


class UninitializedError(MachineError):
    """A read of memory that nothing has written."""


class RaceError(MachineError):
    """Two accesses, one of them a write, in an order that no semaphore fixes."""


class DeadlockError(MachineError):
    """Queues that wait for semaphores that nothing will post any more."""


_ADDRESSES = frozenset(
    {"dram", "spm", "index", "a", "b", "c", "target", "source"}
    | {"gradient", "score", "counts", "values"}
)


def disassemble(command: Command) -> str:
    """The command's mnemonic and fields, addresses in hexadecimal, for messages."""
    parts = [command.MNEMONIC]
    for field in dataclasses.fields(command):
        value = getattr(command, field.name)
        if "bits" in field.metadata:
            text = f"{value:#x}" if field.name in _ADDRESSES else str(value)
            parts.append(f"{field.name}={text}")
    if command.wait is not None:
        parts.append(f"wait=s{command.wait}>={command.wait_value}")
    if command.post is not None:
        parts.append(f"post=s{command.post}")
    return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Site:
    """A command's place: its queue and its position there, from 0."""

    queue: Queue
    position: int

    def describe(self, program: Program) -> str:
        """The place, the command's fields, and the operation of the model that it comes from."""
        command = program.queues[self.queue][self.position]
        text = f"{self.queue.name.lower()}[{self.position}] `{disassemble(command)}`"
        if command.tag < len(program.operations):
            source = program.operations[command.tag]
            where = f" at {source.location}" if source.location else ""
            text += f" (operation {command.tag} '{source.name}'{where})"
        return text
