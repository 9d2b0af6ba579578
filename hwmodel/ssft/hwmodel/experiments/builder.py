"""Writes programs by hand: slots, command queues, and the semaphores between them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TypeVar

from ssft.hwmodel.config import Machine
from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa import (
    Command,
    Contraction,
    DramBuffer,
    MicroProgram,
    Phase,
    Program,
    Purpose,
    Queue,
    SourceOp,
    SpmSlot,
    Wait,
)
from ssft.hwmodel.isa.dtypes import ELEMENT_BYTES, DType

T = TypeVar("T")
ALIGNMENT = 64
_OVERLAPPING = frozenset({Queue.DMA_IN, Queue.DMA_OUT})
"""Queues whose commands may start before the one before them is complete."""


@dataclass(eq=False, slots=True)
class Piece:
    """A piece of the scratchpad, and the last command of each queue that wrote or read it.

    `written` and `read` map queues to how many of the queue's commands must be complete.
    """

    address: int
    bytes: int
    written: dict[Queue, int] = field(default_factory=dict)
    read: dict[Queue, int] = field(default_factory=dict)


class ProgramBuilder:
    """Appends commands in program order; each waits for those whose data or place it needs.

    Semaphore q counts the completed commands of queue q, as in compiled programs.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.program = Program(machine.name, "bf16")
        self._tag = 0
        self._top = 0
        self._pieces: list[Piece] = []
        self._count = dict.fromkeys(Queue, 0)
        self._known = {queue: dict.fromkeys(Queue, 0) for queue in Queue}
        self._contractions: dict[Contraction, int] = {}
        self._micro_programs: dict[MicroProgram, int] = {}
        self._arguments: dict[tuple[int, ...], int] = {}

    def operation(
        self, name: str, kind: str, phase: Phase, macs: int = 0, masked_macs: int = 0
    ) -> int:
        """Adds a source operation; returns the tag of its commands."""
        self.program.operations.append(SourceOp(name, kind, phase, "", macs, masked_macs))
        return len(self.program.operations) - 1

    def buffer(
        self, name: str, shape: tuple[int, ...], dtype: DType, purpose: Purpose
    ) -> DramBuffer:
        """A tensor in DRAM; its number as an argument is its position."""
        program = self.program
        size = prod(shape) * ELEMENT_BYTES[dtype]
        buffer = DramBuffer(name, program.dram_bytes, size, dtype, shape, purpose,
                            tuple(range(len(shape))), argument=len(program.dram))  # fmt: skip
        program.dram.append(buffer)
        program.dram_bytes += -(-size // ALIGNMENT) * ALIGNMENT
        return buffer

    @property
    def free_bytes(self) -> int:
        """Bytes of the scratchpad that nothing has taken."""
        return self.machine.scratchpad.bytes - self._top

    def mark(self) -> int:
        """A position to `release` to."""
        return self._top

    def release(self, mark: int) -> None:
        """Gives back what was taken since `mark`."""
        self._top = mark

    def take(self, name: str, purpose: Purpose, size: int, operations: tuple[int, int]) -> Piece:
        """A piece of the scratchpad, in use from the first to the second of `operations`.

        Raises MachineError if there is no room.
        """
        rounded = -(-size // ALIGNMENT) * ALIGNMENT
        if rounded > self.free_bytes:
            raise MachineError(
                f"'{name}' needs {rounded} bytes of the scratchpad of '{self.machine.name}', "
                f"which has {self.free_bytes} left",
                ["choose a larger machine, or --set scratchpad.bytes=…, or a smaller layer"],
            )
        piece = Piece(self._top, rounded)
        kept = []
        for other in self._pieces:
            overlap = min(other.address + other.bytes, piece.address + rounded) - max(
                other.address, piece.address
            )
            if overlap > 0:
                _merge(piece.read, other.read)
                _merge(piece.read, other.written)
            if overlap < other.bytes:
                kept.append(other)
        self._pieces = [*kept, piece]
        self.program.spm.append(SpmSlot(name, piece.address, size, purpose, *operations))
        self._top += rounded
        self.program.spm_bytes = max(self.program.spm_bytes, self._top)
        self.program.spm_lower_bound = self.program.spm_bytes
        return piece

    def ring(
        self, name: str, purpose: Purpose, size: int, operations: tuple[int, int]
    ) -> list[Piece]:
        """Two pieces to be used in turn."""
        return [self.take(f"{name} {i}", purpose, size, operations) for i in range(2)]

    def contraction(self, shape: Contraction) -> int:
        """The number of a descriptor."""
        return _number(self._contractions, self.program.contractions, shape)

    def micro_program(self, micro_program: MicroProgram) -> int:
        """The number of a micro-program."""
        return _number(self._micro_programs, self.program.micro_programs, micro_program)

    def arguments(self, addresses: Sequence[int]) -> int:
        """The number of an argument list."""
        return _number(self._arguments, self.program.arguments, tuple(addresses))

    def add(
        self, tag: int, command: Command, reads: Sequence[Piece], writes: Sequence[Piece]
    ) -> None:
        """Appends a command to the queue that executes it."""
        queue = command.QUEUES[0]
        needed: dict[Queue, int] = {}
        for piece in reads:
            _merge(needed, piece.written)
        for piece in writes:
            _merge(needed, piece.written)
            _merge(needed, piece.read)
        known = self._known[queue]
        waits = [
            (other, value)
            for other, value in needed.items()
            if value > known[other] and (other is not queue or queue in _OVERLAPPING)
        ]
        commands = self.program.queues[queue]
        for other, value in waits[:-1]:
            commands.append(Wait(tag=tag, wait=int(other), wait_value=value))
        own = {"wait": int(waits[-1][0]), "wait_value": waits[-1][1]} if waits else {}
        commands.append(dataclasses.replace(command, tag=tag, post=int(queue), **own))
        known.update(waits)
        self._count[queue] += 1
        for piece in reads:
            piece.read[queue] = self._count[queue]
        for piece in writes:
            piece.written, piece.read = {queue: self._count[queue]}, {}


def _merge(into: dict[Queue, int], other: dict[Queue, int]) -> None:
    for queue, value in other.items():
        into[queue] = max(into.get(queue, 0), value)


def _number(numbers: dict[T, int], table: list[T], entry: T) -> int:
    if entry not in numbers:
        numbers[entry] = len(table)
        table.append(entry)
    return numbers[entry]
