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

    def _bytes(self, rows: int) -> int:
        size = rows * self.op.row_elements * ELEMENT_BYTES[self.op.out.stored_as]
        return -(-size // 64) * 64

    def slots(self) -> list[SlotRequest]:
        """Two pieces for gathered rows, unless the result stays in the scratchpad."""
        if self._resident:
            return []
        return [SlotRequest(self.op.out.name, self._bytes(self._height), 2)]

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
    """Rows added into a table, in tiles of the table; rows to add and the list stay as a whole."""

    def __init__(self, op: ScatterAdd, machine: Machine, resident: set[int]) -> None:
        self.op = op
        self._machine = machine
        self._table_resident = id(op.out) in resident
        self._source_resident = id(op.source) in resident
        self._height = op.rows

    def choose(self, budget: int) -> None:
        """Chooses how many rows of the table are worked on at a time."""
        if not self._source_resident:
            budget -= self._source_bytes()
        if self._table_resident:
            if budget < 0:
                raise TilingError(self._source_bytes(), budget + self._source_bytes())
            return
        fitting = [h for h in _heights(self.op.rows) if 2 * self._bytes(h) <= budget]
        if not fitting:
            raise TilingError(self._source_bytes() + 2 * self._bytes(1), budget)
        self._height = max(fitting)

    def _source_bytes(self) -> int:
        return -(-self.op.count * self.op.row_elements * 4 // 64) * 64

    def _bytes(self, rows: int) -> int:
        return -(-rows * self.op.row_elements * 4 // 64) * 64

    def slots(self) -> list[SlotRequest]:
        """Room for the rows to add, and two pieces of the table."""
        requests = []
        if not self._source_resident:
            requests.append(SlotRequest(self.op.source.name, self._source_bytes()))
        if not self._table_resident:
            requests.append(SlotRequest(self.op.out.name, self._bytes(self._height), 2))
        return requests

    def emit(self, emitter: Emitter, addresses: Sequence[int]) -> None:
        """Writes the commands of all tiles."""
        op = self.op
        emitter.begin("scatter_add", op.origin)
        remaining = list(addresses)
        elements = op.count * op.row_elements
        if self._source_resident:
            source = emitter.spm[id(op.source)] + op.source_offset * 4
        else:
            source = remaining.pop(0)
            emitter.load(op.source, Walk(op.source_offset, (elements,), (1,)), source)
        listed, list_region = emitter.list_region(op.index)
        for number, start in enumerate(range(0, op.rows, self._height)):
            rows = min(self._height, op.rows - start)
            part = Walk(start * op.row_elements, (rows * op.row_elements,), (1,))
            if self._table_resident:
                target = emitter.spm[id(op.out)] + start * op.row_elements * 4
            else:
                target = remaining[0] + number % 2 * self._bytes(self._height)
                emitter.load(op.out, part, target)
            region = interval("spm", target, rows * op.row_elements * 4)
            command = ScatterAddRows(
                tag=emitter.tag,
                target=target,
                source=source,
                index=listed,
                count=op.count,
                row_elements=op.row_elements,
                first=start,
                rows=rows,
            )
            cycles = cost.scatter_add_cycles(self._machine, op.count, op.row_elements)
            reads = [region, interval("spm", source, elements * 4), list_region]
            emitter.add(command, Queue.VECTOR, cycles, reads, [region])
            if not self._table_resident:
                emitter.store(op.out, part, target)


def _heights(rows: int) -> list[int]:
    """Numbers of rows to try."""
    return sorted({rows, *(1 << bit for bit in range(rows.bit_length()))})
