"""Embedding lookups and their gradients: gathers of rows, and sums into rows."""

from __future__ import annotations

from collections.abc import Sequence

from ssft.compiler.backends.hw.emitter import Emitter
from ssft.compiler.backends.hw.graph import RowLookup, ScatterAdd
from ssft.compiler.backends.hw.memory.slots import SlotRequest
from ssft.compiler.backends.hw.scheduling.task import interval
from ssft.compiler.backends.hw.tiles import cost
from ssft.compiler.backends.hw.tiles.boxes import Walk
from ssft.compiler.backends.hw.tiles.search import TilingError
from ssft.compiler.backends.hw.views import Factor, View
from ssft.hwmodel.config import Machine
from ssft.hwmodel.isa import Queue, ScatterAddRows
from ssft.hwmodel.isa.dtypes import ELEMENT_BYTES


class LookupTiles:
    """Rows of a table, gathered in pieces."""

    def __init__(self, op: RowLookup, machine: Machine, resident: set[int]) -> None:
        self.op = op
        self._resident = id(op.out) in resident
        self._height = op.count

    def choose(self, budget: int) -> None:
        """Chooses how many rows are gathered at a time."""
        if self._resident:
            return
        fitting = [h for h in _heights(self.op.count) if 2 * self._bytes(h) <= budget]
        if not fitting:
            raise TilingError(2 * self._bytes(1), budget)
        self._height = max(fitting)

    @property
    def choice(self) -> int:
        """What was chosen: with the operation, it decides on the commands."""
        return self._height

    def _bytes(self, rows: int) -> int:
        size = rows * self.op.row_elements * ELEMENT_BYTES[self.op.out.stored_as]
        return -(-size // 64) * 64

    def slots(self) -> list[SlotRequest]:
        """Two pieces for gathered rows, unless the result stays in the scratchpad."""
        if self._resident:
            return []
        return [SlotRequest(self.op.out, self._bytes(self._height), 2)]

    def emit(self, emitter: Emitter, addresses: Sequence[int]) -> None:
        """Writes the gathers and the stores."""
        op = self.op
        emitter.begin("lookup", op.origin, [op.table])
        element = ELEMENT_BYTES[op.out.stored_as]
        for number, start in enumerate(range(0, op.count, self._height)):
            rows = min(self._height, op.count - start)
            listed = View(op.index.buffer, op.index.offset + start, ((Factor(rows, 1),),))
            walk = Walk(op.offset, (rows, op.row_elements), (op.pitch, 1), (listed, None))
            if self._resident:
                base = emitter.spm[id(op.out)] + start * op.row_elements * element
                emitter.load(op.table, walk, base)
                continue
            base = addresses[0] + number % 2 * self._bytes(self._height)
            emitter.load(op.table, walk, base)
            part = Walk(start * op.row_elements, (rows * op.row_elements,), (1,))
            emitter.store(op.out, part, base)


class ScatterAddTiles:
    """Rows added into a table: tiles of the table, and for each of them all rows to add, in pieces.

    Each row of the table gets its sums in the order of the list, however both are cut.
    """

    def __init__(self, op: ScatterAdd, machine: Machine, resident: set[int]) -> None:
        self.op = op
        self._machine = machine
        self._table_resident = id(op.out) in resident
        self._source_resident = id(op.source) in resident
        self._height = op.rows
        self._piece = op.count

    def choose(self, budget: int) -> None:
        """Chooses how many rows of the table, and how many rows to add, are worked on at a time."""
        heights = [self.op.rows] if self._table_resident else _heights(self.op.rows)
        pieces = [self.op.count] if self._source_resident else _heights(self.op.count)
        choices = [(height, piece) for height in heights for piece in pieces]
        fitting = [choice for choice in choices if self._room(*choice) <= budget]
        if not fitting:
            raise TilingError(min(self._room(*choice) for choice in choices), budget)
        self._height, self._piece = min(fitting, key=lambda choice: self._cycles(*choice))

    @property
    def choice(self) -> tuple[int, int]:
        """What was chosen: with the operation, it decides on the commands."""
        return self._height, self._piece

    def _room(self, height: int, piece: int) -> int:
        """Bytes of the slots."""
        table = 0 if self._table_resident else 2 * self._bytes(height)
        source = 0 if self._source_resident else self._buffers(piece) * self._bytes(piece)
        return table + source

    def _buffers(self, piece: int) -> int:
        return 1 if piece >= self.op.count else 2

    def _cycles(self, height: int, piece: int) -> float:
        """Estimate; each tile of the table looks at the whole list."""
        tiles, pieces = -(-self.op.rows // height), -(-self.op.count // piece)
        adds = tiles * pieces * cost.scatter_add_cycles(self._machine, piece, self.op.row_elements)
        passes = 1 if pieces == 1 else tiles
        rows = (0 if self._source_resident else passes) * self.op.count
        rows += 0 if self._table_resident else 2 * self.op.rows
        size = max(rows * self.op.row_elements * 4, 1)
        return adds + float(cost.transfer_cycles(self._machine, size, size))

    def _bytes(self, rows: int) -> int:
        return -(-rows * self.op.row_elements * 4 // 64) * 64

    def slots(self) -> list[SlotRequest]:
        """Pieces of the rows to add, and two of the table."""
        requests = []
        if not self._source_resident:
            size, buffers = self._bytes(self._piece), self._buffers(self._piece)
            requests.append(SlotRequest(self.op.source, size, buffers))
        if not self._table_resident:
            requests.append(SlotRequest(self.op.out, self._bytes(self._height), 2))
        return requests

    def emit(self, emitter: Emitter, addresses: Sequence[int]) -> None:
        """Writes the commands of all tiles."""
        op = self.op
        emitter.begin("scatter_add", op.origin)
        remaining = list(addresses)
        base = None if self._source_resident else remaining.pop(0)
        loads = 0
        for number, start in enumerate(range(0, op.rows, self._height)):
            rows = min(self._height, op.rows - start)
            part = Walk(start * op.row_elements, (rows * op.row_elements,), (1,))
            if self._table_resident:
                target = emitter.spm[id(op.out)] + start * op.row_elements * 4
            else:
                target = remaining[0] + number % 2 * self._bytes(self._height)
                emitter.load(op.out, part, target)
            for first in range(0, op.count, self._piece):
                count = min(self._piece, op.count - first)
                offset = op.source_offset + first * op.row_elements
                if base is None:
                    source = emitter.spm[id(op.source)] + offset * 4
                else:
                    source = base + loads % self._buffers(self._piece) * self._bytes(self._piece)
                    if number == 0 or self._piece < op.count:
                        loads += 1
                        walk = Walk(offset, (count * op.row_elements,), (1,))
                        emitter.load(op.source, walk, source)
                self._add(emitter, (start, rows, target), (first, count, source))
            if not self._table_resident:
                emitter.store(op.out, part, target)

    def _add(
        self, emitter: Emitter, table: tuple[int, int, int], added: tuple[int, int, int]
    ) -> None:
        """Writes one command; `table` and `added` are first row, number of rows, and address."""
        op = self.op
        start, rows, target = table
        first, count, source = added
        view = View(op.index.buffer, op.index.offset + first, ((Factor(count, 1),),))
        listed, list_region = emitter.list_region(view)
        region = interval("spm", target, rows * op.row_elements * 4)
        command = ScatterAddRows(
            tag=emitter.tag,
            target=target,
            source=source,
            index=listed,
            count=count,
            row_elements=op.row_elements,
            first=start,
            rows=rows,
        )
        cycles = cost.scatter_add_cycles(self._machine, count, op.row_elements)
        reads = [region, interval("spm", source, count * op.row_elements * 4), list_region]
        emitter.add(command, Queue.VECTOR, cycles, reads, [region])


def _heights(rows: int) -> list[int]:
    """Numbers of rows to try."""
    return sorted({rows, *(1 << bit for bit in range(rows.bit_length()))})
