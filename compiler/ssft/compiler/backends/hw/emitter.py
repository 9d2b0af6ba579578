"""Writes commands: the tables of a program, addresses, and the tasks that scheduling orders."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ssft.compiler.backends.hw.graph import Origin
from ssft.compiler.backends.hw.scheduling.task import Region, Task, interval, strided
from ssft.compiler.backends.hw.tiles import cost
from ssft.compiler.backends.hw.tiles.boxes import Walk, runs
from ssft.compiler.backends.hw.views import Buffer, View
from ssft.hwmodel.config import Machine
from ssft.hwmodel.isa import (
    Command,
    Contraction,
    GatherColumns,
    GatherRows,
    Load2D,
    MicroProgram,
    Phase,
    Program,
    Queue,
    ScatterColumns,
    ScatterRows,
    SourceOp,
    Store2D,
)
from ssft.hwmodel.isa.dtypes import ELEMENT_BYTES

_Entry = TypeVar("_Entry")

_MOST_COLUMN_BYTES = 255
"""What the commands that move columns can say in their field."""


@dataclass(slots=True)
class Emitter:
    """Collects the tasks of a program and fills its tables.

    `spm` and `dram` give the byte address of each buffer (by id) that has one there.
    """

    machine: Machine
    program: Program
    spm: dict[int, int] = field(default_factory=dict)
    dram: dict[int, int] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)
    kernel: int = 0
    tag: int = 0
    _micro_programs: dict[MicroProgram, int] = field(default_factory=dict)
    _contractions: dict[Contraction, int] = field(default_factory=dict)
    _arguments: dict[tuple[int, ...], int] = field(default_factory=dict)
    _durations: dict[int, int] = field(default_factory=dict)
    _transfers: dict[tuple[int, int, int], int] = field(default_factory=dict)

    def begin(
        self,
        kind: str,
        origin: Origin,
        buffers: Sequence[Buffer] = (),
        macs: int = 0,
        masked: int = 0,
    ) -> None:
        """Starts a kernel: what follows is tagged with it.

        It is named after the parameter among `buffers`, if there is one, else after the operation.
        """
        self.kernel = len(self.program.operations)
        self.tag = self.kernel
        phase: Phase = origin.phase
        parameters = [b.name.removesuffix(":bf16") for b in buffers if b.kind == "argument"]
        name = parameters[0] if parameters else origin.name
        self.program.operations.append(SourceOp(name, kind, phase, origin.location, macs, masked))

    def micro_program(self, program: MicroProgram) -> int:
        """The number of a micro-program in the program's table."""
        return _number(self._micro_programs, self.program.micro_programs, program)

    def contraction(self, contraction: Contraction) -> int:
        """The number of a contraction in the program's table."""
        return _number(self._contractions, self.program.contractions, contraction)

    def arguments(self, addresses: Sequence[int]) -> int:
        """The number of an argument list in the program's table."""
        return _number(self._arguments, self.program.arguments, tuple(addresses))

    def add(
        self,
        command: Command,
        queue: Queue,
        duration: int,
        reads: list[Region],
        writes: list[Region],
    ) -> None:
        """Appends a task."""
        duration += self.machine.command.issue_cycles
        self.tasks.append(Task(command, queue, duration, reads, writes, self.kernel))

    def vector_cycles(self, number: int) -> int:
        """Estimated cycles of a micro-program."""
        if number not in self._durations:
            program = self.program.micro_programs[number]
            self._durations[number] = cost.vector_cycles(self.machine, program)
        return self._durations[number]

    def _transfer_cycles(self, rows: int, row_bytes: int, pitch: int) -> int:
        """Estimated cycles of a two-dimensional transfer."""
        key = (rows, row_bytes, pitch)
        if key not in self._transfers:
            self._transfers[key] = cost.rows_cycles(self.machine, *key)
        return self._transfers[key]

    def list_region(self, view: View) -> tuple[int, Region]:
        """Scratchpad address of an index list, and the bytes it takes."""
        address = self.spm[id(view.buffer)] + 8 * view.offset
        return address, interval("spm", address, 8 * view.elements)

    def load(self, buffer: Buffer, walk: Walk, spm: int) -> None:
        """Loads a tile of a DRAM buffer to `spm`, packed."""
        if walk.indexed_loop is not None:
            self._move_listed(buffer, walk, spm, load=True)
            return
        self._move(buffer, walk, spm, load=True)

    def store(self, buffer: Buffer, walk: Walk, spm: int) -> None:
        """Stores a packed tile at `spm` to a DRAM buffer."""
        if walk.indexed_loop is not None:
            self._move_listed(buffer, walk, spm, load=False)
            return
        self._move(buffer, walk, spm, load=False)

    def _move(self, buffer: Buffer, walk: Walk, spm: int, load: bool) -> None:
        element = ELEMENT_BYTES[buffer.stored_as]
        base = self.dram[id(buffer)]
        command = Load2D if load else Store2D
        queue = Queue.DMA_IN if load else Queue.DMA_OUT
        for run in runs(walk):
            dram = base + run.offset * element
            row_bytes, pitch = run.run * element, run.pitch * element
            at = spm + run.packed * element
            far = strided("dram", dram, run.rows, row_bytes, pitch, buffer.number)
            near = interval("spm", at, run.rows * row_bytes)
            self.add(
                command(
                    tag=self.tag, dram=dram, spm=at, rows=run.rows, row_bytes=row_bytes, pitch=pitch
                ),
                queue,
                self._transfer_cycles(run.rows, row_bytes, pitch),
                [far] if load else [near],
                [near] if load else [far],
            )

    def _move_listed(self, buffer: Buffer, walk: Walk, spm: int, load: bool) -> None:
        """A tile of which one loop looks up a list: gathers or scatters rows or columns."""
        loop = walk.indexed_loop
        assert loop is not None
        view = walk.index[loop]
        assert view is not None
        element = ELEMENT_BYTES[buffer.stored_as]
        address, listed = self.list_region(view)
        place = walk.active.index(loop)
        outer, inner = walk.active[:place], walk.active[place + 1 :]
        row_bytes = math.prod(walk.extents[d] for d in inner) * element
        # A stride of 0 has one position only.
        pitch = walk.strides[loop] * element or row_bytes
        columns = bool(outer) and pitch == row_bytes and row_bytes <= _MOST_COLUMN_BYTES
        height, outer_pitch = 1, 0
        if columns:
            last = outer.pop()
            height, outer_pitch = walk.extents[last], walk.strides[last] * element
        count = walk.extents[loop]
        size = height * count * row_bytes
        far_bytes = (buffer.elements - walk.offset) * element
        queue = Queue.DMA_IN if load else Queue.DMA_OUT
        for number, offset in enumerate(_positions(walk, outer)):
            base = self.dram[id(buffer)] + (walk.offset + offset) * element
            far = interval("dram", base, far_bytes - offset * element, buffer.number)
            near = interval("spm", spm + number * size, size)
            fields: dict[str, int] = {
                "tag": self.tag,
                "dram": base,
                "spm": near.low,
                "index": address,
                "count": count,
            }
            command: Command
            if columns:
                fields |= {"rows": height, "element_bytes": row_bytes, "pitch": outer_pitch}
                command = (GatherColumns if load else ScatterColumns)(**fields)
                cycles = cost.columns_cycles(self.machine, height, count, row_bytes, outer_pitch)
            else:
                fields |= {"row_bytes": row_bytes, "pitch": pitch}
                command = (GatherRows if load else ScatterRows)(**fields)
                cycles = cost.gather_cycles(self.machine, count, row_bytes)
            reads, writes = ([far, listed], [near]) if load else ([near, listed], [far])
            self.add(command, queue, cycles, reads, writes)


def _positions(walk: Walk, loops: Sequence[int]) -> Iterator[int]:
    """Elements from the walk's start to where each iteration of some loops starts."""
    for indices in itertools.product(*(range(walk.extents[d]) for d in loops)):
        yield sum(i * walk.strides[d] for i, d in zip(indices, loops, strict=True))


def _number(numbers: dict[_Entry, int], table: list[_Entry], entry: _Entry) -> int:
    if entry not in numbers:
        numbers[entry] = len(table)
        table.append(entry)
    return numbers[entry]
