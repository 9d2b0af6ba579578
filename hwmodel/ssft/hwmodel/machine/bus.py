"""The units' way to the memories: every access is checked before any byte moves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssft.hwmodel.isa import Program, Queue
from ssft.hwmodel.machine.errors import (
    OutOfBoundsError,
    RaceError,
    Site,
    UninitializedError,
)
from ssft.hwmodel.machine.footprints import Footprint
from ssft.hwmodel.machine.memory import Memory
from ssft.hwmodel.machine.ordering import Clocks
from ssft.hwmodel.machine.places import Places
from ssft.hwmodel.machine.races import RaceDetector


class Bus:
    """Checks accesses of the command at `site` for bounds, races and undefined bytes."""

    def __init__(self, program: Program, spm: Memory, dram: Memory) -> None:
        self.program = program
        self.spm = spm
        self.dram = dram
        self.places = Places(program)
        self.site = Site(Queue.DMA_IN, 0)
        self._races: dict[str, RaceDetector] = {}

    def start(self, clocks: Clocks) -> None:
        """Forgets the accesses of the run before."""
        self._races = {memory.name: RaceDetector(clocks) for memory in (self.spm, self.dram)}

    def place(self, memory: Memory, address: int) -> str:
        """An address with the name of what is there, for messages."""
        tag = self.program.queues[self.site.queue][self.site.position].tag
        return self.places.describe(memory.name, address, tag)

    def access(self, memory: Memory, base: int, footprint: Footprint, write: bool) -> None:
        """Refuses an access that is out of bounds, or that races with another command's."""
        if footprint.high == footprint.low:
            return
        low, high = base + footprint.low, base + footprint.high
        if not memory.contains(base, footprint):
            raise OutOfBoundsError(
                f"accesses {memory.name} bytes [{low:#x}, {high:#x}), of which only "
                f"{memory.size:#x} are in use"
            )
        race = self._races[memory.name].access(self.site, base, footprint, write)
        if race is not None:
            other, written = race
            raise RaceError(
                f"{'writes' if write else 'reads'} {self.place(memory, low)}, up to {high:#x}, "
                f"which {other.describe(self.program)} {'writes' if written else 'reads'}, too, "
                "and no semaphore orders the two"
            )

    def check(self, memory: Memory, base: int, footprint: Footprint) -> None:
        """Refuses a read of bytes that nothing has written."""
        address = memory.first_undefined(base, footprint)
        if address is not None:
            raise UninitializedError(f"reads undefined {self.place(memory, address)}")

    def read(self, memory: Memory, base: int, footprint: Footprint) -> None:
        """Checks a read."""
        self.access(memory, base, footprint, write=False)
        self.check(memory, base, footprint)

    def write(self, memory: Memory, base: int, footprint: Footprint) -> None:
        """Checks a write, after which the bytes count as defined."""
        self.access(memory, base, footprint, write=True)
        memory.mark(base, footprint)

    def aligned(self, address: int, size: int) -> None:
        """Refuses an element address that is not a multiple of the element's size."""
        if address % size:
            raise OutOfBoundsError(f"address {address:#x} is not aligned to {size} bytes")

    def read_list(self, address: int, count: int) -> NDArray[np.int64]:
        """An index list in the scratchpad, as its own copy."""
        self.aligned(address, 8)
        self.read(self.spm, address, Footprint.block(count * 8))
        return self.spm.packed(address, np.int64, count).copy()

    def spm_floats(self, address: int, count: int, write: bool = False) -> NDArray[np.float32]:
        """A view of packed f32 in the scratchpad, to read, or to write without reading."""
        self.aligned(address, 4)
        check = self.write if write else self.read
        check(self.spm, address, Footprint.block(count * 4))
        return self.spm.packed(address, np.float32, count)
