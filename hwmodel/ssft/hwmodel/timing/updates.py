"""Which rows and columns of parameters a step writes, from its stores.

A parameter's rows and columns are the positions of its dimensions 0 and 1, as in masks. Timing
computes no values: of scattered rows and columns it is known how many they are, not which. They are
counted as if no other list and no plain store wrote them, too, but never as more than there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ssft.hwmodel import isa
from ssft.hwmodel.isa import Command, DramBuffer, Queue
from ssft.hwmodel.isa.dtypes import ELEMENT_BYTES
from ssft.hwmodel.timing.events import Simulation
from ssft.hwmodel.timing.regions import Regions
from ssft.hwmodel.timing.scratchpad import INDEX_BYTES
from ssft.hwmodel.timing.sums import covered_length


@dataclass(frozen=True, slots=True)
class Updated:
    """What a step writes of a parameter of `shape`; None where it lacks the dimension."""

    name: str
    shape: tuple[int, ...]
    rows: int | None
    columns: int | None
    elements: int


def updated_parameters(simulation: Simulation, buffer: np.ndarray) -> list[Updated]:
    """Of each parameter that is written, in the order of the program's buffers.

    `buffer` has for each command the number of the DRAM buffer that its address is in.
    """
    dram, stream = simulation.program.dram, simulation.stream
    written: dict[int, _Written] = {}
    mine = stream.of(Queue.DMA_OUT)
    commands = stream.commands[mine]
    indices = np.array([getattr(command, "index", -1) for command in commands], dtype=np.int64)
    slots = Regions(simulation.program.spm).find(stream.tag[mine], indices)
    for command, number, slot in zip(commands, buffer[mine].tolist(), slots.tolist(), strict=True):
        if number < 0 or dram[number].purpose != "weight" or dram[number].argument is None:
            continue
        if number not in written:
            written[number] = _Written.of(dram[number])
        written[number].add(command, slot)
    return [written[number].result() for number in sorted(written)]


@dataclass(slots=True)
class _Written:
    """Positions written, of a parameter stored as a matrix: its first dimension by all others.

    `row_lists` and `column_lists` are parts of lists: the first entry and the one after the last,
    in bytes of the scratchpad, where each slot is taken to have addresses of its own.
    """

    buffer: DramBuffer
    rows: np.ndarray
    columns: np.ndarray
    row_lists: list[tuple[int, int]] = field(default_factory=list)
    column_lists: list[tuple[int, int]] = field(default_factory=list)
    elements: int = 0

    @classmethod
    def of(cls, buffer: DramBuffer) -> _Written:
        stored = _stored(buffer)
        height = stored[0] if stored else 1
        return cls(buffer, np.zeros(height, bool), np.zeros(math.prod(stored[1:]), bool))

    def add(self, command: Command, slot: int) -> None:
        """Notes what a store writes; its list, if it has one, is in scratchpad slot `slot`."""
        size, width = ELEMENT_BYTES[self.buffer.dtype], len(self.columns)
        match command:
            case isa.Store2D():
                first = (command.dram - self.buffer.address) // size
                starts = first + np.arange(command.rows) * (command.pitch // size)
                self._add_runs(starts, command.row_bytes // size)
                self.elements += command.rows * command.row_bytes // size
            case isa.ScatterRows():
                first = (command.dram - self.buffer.address) // size % width
                self.columns[first : first + command.row_bytes // size] = True
                self.row_lists.append(_part(command, slot))
                self.elements += command.count * command.row_bytes // size
            case isa.ScatterColumns():
                first = (command.dram - self.buffer.address) // size
                pitch = command.pitch // size
                starts = first + np.arange(command.rows) * pitch
                if pitch > width:  # elements of several rows: any of them may be among these
                    self._add_runs(starts, pitch)
                else:
                    self.rows[starts // width] = True
                    self.column_lists.append(_part(command, slot))
                self.elements += command.rows * command.count

    def _add_runs(self, starts: np.ndarray, length: int) -> None:
        """Runs of `length` elements, each of which may go on in the rows below."""
        if not len(starts) or not length:
            return
        width = len(self.columns)
        ends = starts + length - 1
        steps = np.bincount(starts // width, minlength=len(self.rows) + 1)
        steps -= np.bincount(ends // width + 1, minlength=len(self.rows) + 1)
        self.rows |= np.cumsum(steps)[:-1] > 0
        for first in np.unique(starts % width).tolist():
            last = first + length
            self.columns[first:last] = True
            self.columns[: max(last - width, 0)] = True

    def result(self) -> Updated:
        shape = self.buffer.shape
        listed = _entries(self.row_lists), _entries(self.column_lists)
        rows, columns = (
            self._positions(dim, *listed) if dim < len(shape) else None for dim in (0, 1)
        )
        return Updated(self.buffer.name, shape, rows, columns, self.elements)

    def _positions(self, dim: int, row_lists: int, column_lists: int) -> int:
        """How many positions of a dimension are written."""
        order = self.buffer.order or tuple(range(len(self.buffer.shape)))
        extent, place = self.buffer.shape[dim], order.index(dim)
        if not place:
            return min(int(self.rows.sum()) + row_lists, extent)
        columns = np.moveaxis(self.columns.reshape(_stored(self.buffer)[1:]), place - 1, 0)
        known = int(columns.reshape(extent, -1).any(axis=1).sum())
        return min(known + column_lists, extent)


def _stored(buffer: DramBuffer) -> list[int]:
    """The extents in the order in which they are laid out."""
    return [buffer.shape[d] for d in buffer.order or range(len(buffer.shape))]


def _part(command: isa.ScatterRows | isa.ScatterColumns, slot: int) -> tuple[int, int]:
    """Where a command's list is."""
    first = (slot + 1 << 40) + command.index
    return first, first + command.count * INDEX_BYTES


def _entries(parts: list[tuple[int, int]]) -> int:
    """How many entries parts of lists have together."""
    first, end = np.array(parts, dtype=np.int64).reshape(-1, 2).T
    return covered_length(first, end) // INDEX_BYTES
