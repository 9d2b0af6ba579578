"""Where a nest's operands lie: element views on memory that convert as they load and store."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa import Access, Nest, Slot
from ssft.hwmodel.isa.dtypes import ELEMENT_BYTES, DType
from ssft.hwmodel.machine.bus import Bus
from ssft.hwmodel.machine.footprints import Footprint, overlap
from ssft.hwmodel.machine.memory import Memory
from ssft.hwmodel.machine.rounding import STORAGE, to_compute, to_storage


def check_access(nest: Nest, access: Access, slots: tuple[Slot, ...], write: bool) -> None:
    """Refuses an access that leaves its slot, or that the slot does not allow."""
    if not 0 <= access.slot < len(slots):
        raise MachineError(f"a micro-program accesses slot {access.slot}, which does not exist")
    slot = slots[access.slot]
    if len(access.strides) != len(nest.extents):
        raise MachineError("a micro-program's access has as many strides as the nest dimensions")
    moves = [(e - 1) * s for e, s in zip(nest.extents, access.strides, strict=True)]
    low = access.offset + sum(min(move, 0) for move in moves)
    high = access.offset + sum(max(move, 0) for move in moves)
    if low < 0 or high >= slot.elements:
        raise MachineError(
            f"a micro-program accesses elements {low} to {high} of slot {access.slot}, which has "
            f"{slot.elements}"
        )
    if write and slot.access == "in":
        raise MachineError(f"a micro-program writes slot {access.slot}, which is an input")


def access_footprint(nest: Nest, access: Access, slot: Slot) -> Footprint:
    """The bytes that an access touches, relative to its first element's address."""
    size = ELEMENT_BYTES[slot.dtype]
    dims = zip(nest.extents, access.strides, strict=True)
    return Footprint([(extent, stride * size) for extent, stride in dims], size)


class SlotView:
    """A slot as a nest walks through it. Dimensions that do not move it have extent 1."""

    def __init__(
        self, nest: Nest, access: Access, slot: Slot, memory: Memory, address: int
    ) -> None:
        size = ELEMENT_BYTES[slot.dtype]
        self.dtype: DType = slot.dtype
        self.memory = memory
        self.base = address + access.offset * size
        self.footprint = access_footprint(nest, access, slot)
        pairs = list(zip(nest.extents, access.strides, strict=True))
        self.shape = tuple(extent if stride else 1 for extent, stride in pairs)
        strides = tuple(stride * size for _, stride in pairs)
        low = self.base + self.footprint.low
        self.place = (low, tuple(s * (e > 1) for e, s in zip(self.shape, strides, strict=True)))
        self._data: NDArray | None = None
        self._strides = strides

    @property
    def data(self) -> NDArray:
        """The elements as they are stored; made when first used, after the bounds were checked."""
        if self._data is None:
            dtype = STORAGE[self.dtype]
            self._data = self.memory.array(self.base, dtype, self.shape, self._strides)
        return self._data

    def load(self, bus: Bus) -> NDArray:
        """The elements as registers; f32 and others are a view on the memory itself."""
        bus.check(self.memory, self.base, self.footprint)
        return to_compute(self.data, self.dtype)

    def store(self, values: NDArray) -> None:
        """Writes registers, spread over dimensions that they do not have."""
        self.data[...] = to_storage(values, self.dtype)
        self.memory.mark(self.base, self.footprint)

    def clashes(self, other: SlotView) -> bool:
        """Whether two accesses meet at different places, so that the order of iterations counts."""
        if self.memory is not other.memory:
            return False
        if self.place == other.place and self.dtype == other.dtype:
            return False
        return overlap(self.footprint, self.base, other.footprint, other.base)


def elements(nest: Nest) -> int:
    """The number of iterations."""
    return math.prod(nest.extents)


def as_rank(values: NDArray, rank: int) -> NDArray:
    """A register without dimensions as one with `rank` of extent 1."""
    return np.asarray(values).reshape((1,) * rank)
