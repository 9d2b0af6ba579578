"""The DMA engines: 2-D strided copies, and rows and columns picked by index lists."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssft.hwmodel.isa import (
    GatherColumns,
    GatherRows,
    Load2D,
    ScatterColumns,
    ScatterRows,
    Store2D,
)
from ssft.hwmodel.machine.bus import Bus
from ssft.hwmodel.machine.errors import OutOfBoundsError
from ssft.hwmodel.machine.footprints import Footprint

_BYTE = np.dtype(np.uint8)


class DmaUnit:
    """Executes the commands of both DMA queues; each returns the number of bytes it moved."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus

    def load_2d(self, command: Load2D) -> int:
        """DRAM runs to packed scratchpad rows."""
        return self._copy_2d(command, store=False)

    def store_2d(self, command: Store2D) -> int:
        """Packed scratchpad rows to DRAM runs."""
        if command.pitch < command.row_bytes and command.rows > 1:
            raise OutOfBoundsError("stores rows that overlap: the pitch is less than a row")
        return self._copy_2d(command, store=True)

    def _copy_2d(self, command: Load2D | Store2D, store: bool) -> int:
        rows, width = command.rows, command.row_bytes
        strided = Footprint([(rows, command.pitch)], width)
        if not rows * width:
            return 0
        self._check(command.spm, command.dram, Footprint.block(rows * width), strided, store)
        packed = self.bus.spm.array(command.spm, _BYTE, (rows, width), (width, 1))
        matrix = self.bus.dram.array(command.dram, _BYTE, (rows, width), (command.pitch, 1))
        if store:
            matrix[...] = packed
        else:
            packed[...] = matrix
        return rows * width

    def gather_rows(self, command: GatherRows) -> int:
        """Listed DRAM rows to packed scratchpad rows."""
        return self._copy_rows(command, store=False)

    def scatter_rows(self, command: ScatterRows) -> int:
        """Packed scratchpad rows to listed DRAM rows, which are distinct."""
        return self._copy_rows(command, store=True)

    def _copy_rows(self, command: GatherRows | ScatterRows, store: bool) -> int:
        count, width = command.count, command.row_bytes
        if not count * width:
            return 0
        index = self._list(command.index, count, store)
        footprint = Footprint.listed(index * command.pitch, width)
        self._within_buffer(command.dram, footprint)
        self._check(command.spm, command.dram, Footprint.block(count * width), footprint, store)
        packed = self.bus.spm.array(command.spm, _BYTE, (count, width), (width, 1))
        shape, strides = (int(index.max()) + 1, width), (command.pitch, 1)
        matrix = self.bus.dram.array(command.dram, _BYTE, shape, strides)
        if store:
            matrix[index] = packed
        else:
            np.take(matrix, index, axis=0, out=packed)
        return count * width

    def gather_columns(self, command: GatherColumns) -> int:
        """Listed DRAM columns to a packed scratchpad matrix."""
        return self._copy_columns(command, store=False)

    def scatter_columns(self, command: ScatterColumns) -> int:
        """A packed scratchpad matrix to listed DRAM columns, which are distinct."""
        return self._copy_columns(command, store=True)

    def _copy_columns(self, command: GatherColumns | ScatterColumns, store: bool) -> int:
        rows, count, size = command.rows, command.count, command.element_bytes
        if not rows * count * size:
            return 0
        index = self._list(command.index, count, store)
        columns = int(index.max()) + 1
        if rows > 1 and columns * size > command.pitch:
            raise OutOfBoundsError(
                f"column {columns - 1} of {size}-byte elements is outside a row of "
                f"{command.pitch} bytes"
            )
        starts = np.add.outer(np.arange(rows, dtype=np.int64) * command.pitch, index * size)
        footprint = Footprint.listed(starts.ravel(), size)
        self._within_buffer(command.dram, footprint)
        total = rows * count * size
        self._check(command.spm, command.dram, Footprint.block(total), footprint, store)
        packed = self.bus.spm.array(
            command.spm, _BYTE, (rows, count, size), (count * size, size, 1)
        )
        matrix = self.bus.dram.array(
            command.dram, _BYTE, (rows, columns, size), (command.pitch, size, 1)
        )
        if store:
            matrix[:, index] = packed
        else:
            packed[...] = matrix[:, index]
        return total

    def _list(self, address: int, count: int, store: bool) -> NDArray[np.int64]:
        index = self.bus.read_list(address, count)
        if index.min() < 0:
            raise OutOfBoundsError(
                f"position {int(index.argmin())} of its list is the negative index {index.min()}"
            )
        if store and np.unique(index).size != count:
            raise OutOfBoundsError("stores to an index that is in its list more than once")
        return index

    def _within_buffer(self, dram: int, footprint: Footprint) -> None:
        """Refuses an index that leads out of the buffer that the command's address is in."""
        buffers = self.bus.places.buffers(dram)
        end = dram + footprint.high
        if buffers and all(end > buffer.address + buffer.bytes for buffer in buffers):
            raise OutOfBoundsError(
                f"an index of its list leads to dram address {end - 1:#x}, behind the end of "
                f"buffer '{buffers[0].name}'"
            )

    def _check(
        self, spm: int, dram: int, packed: Footprint, matrix: Footprint, store: bool
    ) -> None:
        bus = self.bus
        if store:
            bus.read(bus.spm, spm, packed)
            bus.write(bus.dram, dram, matrix)
        else:
            bus.read(bus.dram, dram, matrix)
            bus.write(bus.spm, spm, packed)
