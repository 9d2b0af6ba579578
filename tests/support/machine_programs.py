"""Small programs for the functional machine, and slow models of its arithmetic to compare with.

A `Chain` is a program whose commands run one after the other, whichever queues they are on: each
waits for the one before it. Inputs come from DRAM, results go back there.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ssft.hwmodel.isa import (
    Command,
    Contraction,
    DramBuffer,
    Load2D,
    MicroProgram,
    Program,
    Queue,
    SourceOp,
    SpmSlot,
    Store2D,
    Vector,
)
from ssft.hwmodel.isa.dtypes import DType
from ssft.hwmodel.machine import FunctionalMachine

BYTES = {"i1": 1, "i8": 1, "i32": 4, "i64": 8, "bf16": 2, "f32": 4, "f64": 8}


class Chain:
    """Builds a program command by command."""

    def __init__(self) -> None:
        self.program = Program("test", "f32", operations=[SourceOp("op", "k", "forward", "m.py:7")])
        self.values: dict[str, np.ndarray] = {}
        self._last: Queue | None = None
        self._posted = dict.fromkeys(Queue, 0)

    def add(self, command: Command) -> None:
        """Appends a command to the first queue that may hold it, after all before it."""
        queue = command.QUEUES[0]
        if self._last is not None:
            command = dataclasses.replace(
                command, wait=int(self._last), wait_value=self._posted[self._last]
            )
        self.program.queues[queue].append(dataclasses.replace(command, post=int(queue)))
        self._posted[queue] += 1
        self._last = queue

    def spm(self, size: int, name: str = "") -> int:
        """The address of a new piece of the scratchpad."""
        address = self.program.spm_bytes
        self.program.spm.append(SpmSlot(name or f"s{address}", address, size, "activation", 0, 99))
        self.program.spm_bytes += -(-size // 64) * 64
        return address

    def buffer(self, name: str, dtype: DType, shape: tuple[int, ...], **more: Any) -> DramBuffer:
        """A new DRAM buffer."""
        address = self.program.dram_bytes
        size = int(np.prod(shape)) * BYTES[dtype]
        found = DramBuffer(name, address, size, dtype, shape, "input", **more)
        self.program.dram.append(found)
        self.program.dram_bytes += -(-size // 64) * 64
        return found

    def load(self, name: str, dtype: DType, values: Any) -> int:
        """Loads an array through a buffer of its own; its address in the scratchpad."""
        values = np.asarray(values)
        buffer = self.buffer(name, dtype, values.shape)
        self.values[name] = values
        address = self.spm(buffer.bytes, name)
        self.add(Load2D(dram=buffer.address, spm=address, rows=1, row_bytes=buffer.bytes, pitch=0))
        return address

    def store(self, name: str, dtype: DType, shape: tuple[int, ...], address: int) -> None:
        """Stores packed scratchpad contents to a new buffer."""
        buffer = self.buffer(name, dtype, shape)
        self.add(Store2D(dram=buffer.address, spm=address, rows=1, row_bytes=buffer.bytes, pitch=0))

    def machine(self, **options: Any) -> FunctionalMachine:
        """A machine with the inputs written."""
        machine = FunctionalMachine(self.program, **options)
        for name, values in self.values.items():
            machine.write(name, values)
        return machine

    def run(self) -> FunctionalMachine:
        """A machine that has run the program."""
        machine = self.machine()
        machine.run()
        return machine


def bits(array: np.ndarray) -> np.ndarray:
    """An array's bits; all values that are no number count as one."""
    array = np.ascontiguousarray(array)
    if array.dtype.kind != "f":
        return array
    words = array.view(f"u{array.dtype.itemsize}").copy()
    words[np.isnan(array)] = 0xABCD
    return words


def run_micro_program(
    micro: MicroProgram, inputs: Sequence[Any], command: type[Command] = Vector, origin: int = 0
) -> list[np.ndarray]:
    """Runs a micro-program; the contents of all slots that are not inputs, flat.

    `inputs` are flat arrays for the operands, in order; None for those that start undefined.
    """
    chain = Chain()
    operands = [slot for slot in micro.slots if slot.access != "temporary"]
    addresses = [
        chain.spm(slot.elements * BYTES[slot.dtype])
        if values is None
        else chain.load(f"in{number}", slot.dtype, np.asarray(values).reshape(slot.elements))
        for number, (slot, values) in enumerate(zip(operands, inputs, strict=True))
    ]
    chain.program.micro_programs.append(micro)
    chain.program.arguments.append(tuple(addresses))
    chain.add(command(program=0, arguments=0, origin=origin))
    names = []
    for number, (slot, address) in enumerate(zip(operands, addresses, strict=True)):
        if slot.access != "in":
            names.append(f"out{number}")
            chain.store(names[-1], slot.dtype, (slot.elements,), address)
    machine = chain.run()
    return [machine.read(name) for name in names]


def to_bf16(values: Any) -> np.ndarray:
    """Rounds f32 to bf16 by arithmetic, not by bits: an own way, to compare with. No NaN."""
    values = np.asarray(values, np.float32).astype(np.float64)
    _, exponent = np.frexp(values)
    unit = np.ldexp(1.0, np.maximum(exponent - 8, -133))
    rounded = np.rint(values / unit) * unit
    return np.where(np.isfinite(values), rounded, values).astype(np.float32)


def slow_contraction(
    contraction: Contraction,
    a: np.ndarray,
    b: np.ndarray,
    c: np.ndarray,
    index: np.ndarray | None = None,
    accumulate: bool = False,
) -> np.ndarray:
    """`isa.contraction`'s arithmetic, an element of the result at a time; flat arrays, f32."""
    result = np.array(c, np.float32)
    if contraction.multiply == "bf16":
        a, b = to_bf16(a), to_bf16(b)
    outer = [(i, d) for i, d in enumerate(contraction.dims) if d.kind != "k"]
    inner = [d for d in contraction.dims if d.kind == "k"]
    for position in itertools.product(*(range(d.extent) for _, d in outer)):
        at = dict.fromkeys("abc", 0)
        for value, (number, dim) in zip(position, outer, strict=True):
            read = value if number != contraction.indexed or index is None else int(index[value])
            at["a"] += read * dim.a
            at["b"] += read * dim.b
            at["c"] += value * dim.c
        terms = []
        for step in itertools.product(*(range(d.extent) for d in inner)):
            left = a[at["a"] + sum(s * d.a for s, d in zip(step, inner, strict=True))]
            right = b[at["b"] + sum(s * d.b for s, d in zip(step, inner, strict=True))]
            terms.append(np.float32(left * right))
        start = result[at["c"]] if accumulate else np.float32(0)
        result[at["c"]] = slow_sum(terms, start)
    return result


def slow_sum(terms: Sequence[Any], start: Any) -> Any:
    """Groups of 16 as trees, neighbours first, added to `start` in order."""
    kind = type(start)
    terms = [*terms, *[kind(0)] * (-len(terms) % 16)]
    for first in range(0, len(terms), 16):
        group = terms[first : first + 16]
        while len(group) > 1:
            group = [group[i] + group[i + 1] for i in range(0, len(group), 2)]
        start = start + group[0]
    return start
