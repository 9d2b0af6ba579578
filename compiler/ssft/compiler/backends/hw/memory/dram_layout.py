"""Addresses in DRAM, and what the host has to know about each buffer there."""

from __future__ import annotations

import numpy as np

from ssft.compiler.backends.hw.emitter import Emitter
from ssft.compiler.backends.hw.graph import Graph
from ssft.compiler.backends.hw.memory.allocate import Allocation, allocate
from ssft.compiler.backends.hw.memory.allocate import Lifetime as Interval
from ssft.compiler.backends.hw.memory.residency import Lifetime, Residency
from ssft.compiler.backends.hw.views import Buffer
from ssft.compiler.diagnostics import UserError
from ssft.hwmodel.isa import DramBuffer

ALIGNMENT = 64


def place_in_dram(
    graph: Graph, residency: Residency, emitter: Emitter, loaded: list[Lifetime]
) -> dict[int, Lifetime]:
    """Gives arguments, constants, results and values that are not resident their addresses.

    Returns the lifetimes of those whose memory is others' at other times, by number in the
    program's table.
    """
    used = {id(entry.buffer): entry for entry in residency.lifetimes.values()}
    resident = residency.ids
    fixed: list[tuple[Buffer, DramBuffer]] = []
    numbers = dict((id(buffer), number) for number, buffer in graph.results)
    spilled: list[Lifetime] = []
    address = 0
    for number, buffer in enumerate([*graph.arguments, *graph.buffers]):
        buffer.number = number
        entry = used.get(id(buffer))
        if buffer.kind == "value" and id(buffer) not in numbers:
            if entry and id(buffer) not in residency.temporary and id(buffer) not in resident:
                spilled.append(entry)
            continue
        if buffer.kind == "constant" and entry is None:
            continue
        record = _record(buffer, address, numbers.get(id(buffer)))
        fixed.append((buffer, record))
        emitter.dram[id(buffer)] = address
        address += -(-buffer.bytes // ALIGNMENT) * ALIGNMENT
    reuse = sum(e.buffer.bytes for e in spilled) > emitter.machine.dram.bytes // 2 - address
    placed = _place(spilled, reuse)
    shared = dict(enumerate(spilled, len(fixed))) if reuse else {}
    for entry, offset in zip(spilled, placed.offsets, strict=True):
        buffer = entry.buffer
        emitter.dram[id(buffer)] = address + offset
        fixed.append((buffer, _record(buffer, address + offset, None)))
    emitter.program.dram = [record for _, record in fixed]
    emitter.program.dram_bytes = address + placed.peak
    if emitter.program.dram_bytes > emitter.machine.dram.bytes:
        raise _too_large(emitter, fixed)
    return shared


def _place(spilled: list[Lifetime], reuse: bool) -> Allocation:
    """Addresses for values that are not resident.

    Where there is plenty each gets memory of its own: nothing has to wait until memory is free.
    """
    if not reuse:
        return allocate([Interval(e.buffer.bytes, 0, 1) for e in spilled], effort=0)
    return allocate([Interval(e.buffer.bytes, e.first, e.last) for e in spilled], effort=2000)


def _record(buffer: Buffer, address: int, result: int | None) -> DramBuffer:
    data = None if buffer.data is None else np.ascontiguousarray(buffer.data).tobytes()
    return DramBuffer(
        buffer.name,
        address,
        buffer.bytes,
        buffer.stored_as,
        buffer.shape,
        buffer.purpose,
        buffer.order,
        buffer.argument,
        result,
        data,
        buffer.mirror,
    )


def _too_large(emitter: Emitter, fixed: list[tuple[Buffer, DramBuffer]]) -> UserError:
    machine = emitter.machine
    sizes: dict[str, int] = {}
    for _, record in fixed:
        sizes[record.purpose] = sizes.get(record.purpose, 0) + record.bytes
    parts = ", ".join(f"{_readable(size)} {name}" for name, size in sizes.items())
    needed, there = _readable(emitter.program.dram_bytes), _readable(machine.dram.bytes)
    return UserError(
        f"the plan needs {needed}, the DRAM of '{machine.name}' has {there}",
        notes=[f"it needs {parts}", "a smaller batch, or --set dram.bytes=… for a larger memory"],
    )


def _readable(size: int) -> str:
    """`size` bytes with a unit that leaves few digits."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.2f} {unit}"
    return f"{size} bytes"
