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
from ssft.compiler.plan_schema import ArgumentInfo, StepSignature
from ssft.hwmodel.isa import DramBuffer, Purpose

ALIGNMENT = 64

_PURPOSES: dict[str, Purpose] = {
    "trainable": "weight",
    "frozen": "weight",
    "state": "optimizer",
    "hyper": "optimizer",
    "step": "optimizer",
    "seed": "input",
    "input": "input",
    "index": "index",
}


def place_in_dram(
    graph: Graph,
    residency: Residency,
    signature: StepSignature,
    emitter: Emitter,
    loaded: list[Lifetime],
) -> None:
    """Gives arguments, constants, results and values that are not resident their addresses."""
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
        record = _record(buffer, address, signature.arguments, numbers.get(id(buffer)))
        fixed.append((buffer, record))
        emitter.dram[id(buffer)] = address
        address += -(-buffer.bytes // ALIGNMENT) * ALIGNMENT
    placed = _place(spilled, emitter.machine.dram.bytes // 2 - address)
    for entry, offset in zip(spilled, placed.offsets, strict=True):
        buffer = entry.buffer
        emitter.dram[id(buffer)] = address + offset
        fixed.append((buffer, _record(buffer, address + offset, (), None)))
    emitter.program.dram = [record for _, record in fixed]
    emitter.program.dram_bytes = address + placed.peak
    if emitter.program.dram_bytes > emitter.machine.dram.bytes:
        raise _too_large(emitter, fixed)


def _place(spilled: list[Lifetime], plenty: int) -> Allocation:
    """Addresses for values that are not resident.

    Where they take less than `plenty` bytes each gets memory of its own: nothing has to wait until
    memory is free. Otherwise memory is used again.
    """
    if sum(entry.buffer.bytes for entry in spilled) <= plenty:
        return allocate([Interval(e.buffer.bytes, 0, 1) for e in spilled], effort=0)
    return allocate([Interval(e.buffer.bytes, e.first, e.last) for e in spilled], effort=2000)


def _record(
    buffer: Buffer, address: int, arguments: tuple[ArgumentInfo, ...], result: int | None
) -> DramBuffer:
    purpose: Purpose = "activation"
    argument = buffer.argument if buffer.mirror is None else buffer.mirror
    if argument is not None:
        purpose = _PURPOSES[arguments[argument].role]
    elif buffer.kind == "constant":
        purpose = "index" if buffer.dtype == "i64" else "activation"
    elif result is not None:
        purpose = "output"
    data = None if buffer.data is None else np.ascontiguousarray(buffer.data).tobytes()
    return DramBuffer(
        buffer.name,
        address,
        buffer.bytes,
        buffer.stored_as,
        buffer.shape,
        purpose,
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
