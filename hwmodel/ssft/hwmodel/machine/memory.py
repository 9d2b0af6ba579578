"""A byte-addressed memory that knows which of its bytes are defined."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.machine.footprints import Footprint

POISON = 0xCB
_ALIGNMENT = 64


class Memory:
    """`size` bytes, filled with poison, each with a flag that says whether it was written."""

    def __init__(self, name: str, size: int, limit: int | None = None) -> None:
        """Allocates it; a size over `limit`, the machine's own, is an error."""
        if limit is not None and size > limit:
            raise MachineError(
                f"the program uses {size} bytes of {name}, but the machine has {limit}"
            )
        self.name = name
        self.size = size
        padded = -(-max(size, 1) // _ALIGNMENT) * _ALIGNMENT
        raw = np.empty(padded + _ALIGNMENT, np.uint8)
        shift = -raw.ctypes.data % _ALIGNMENT
        self.data: NDArray[np.uint8] = raw[shift : shift + padded]
        self.flags: NDArray[np.bool_] = np.zeros(padded, np.bool_)
        self.data[:] = POISON
        # The tensor unit's loops take the whole memory in the width of an element.
        self.words = {2: self.data.view(np.uint16), 4: self.data.view(np.float32)}

    def reset(self) -> None:
        """Poisons everything again."""
        self.data[:] = POISON
        self.flags[:] = False

    def contains(self, base: int, footprint: Footprint) -> bool:
        """Whether an access stays inside the memory."""
        return base + footprint.low >= 0 and base + footprint.high <= self.size

    def first_undefined(self, base: int, footprint: Footprint) -> int | None:
        """The lowest address of an access that was never written."""
        if footprint.flag_view(self.flags, base).all():
            return None
        for start in footprint.starts():
            run = self.flags[base + start : base + start + footprint.run]
            if not run.all():
                return int(base + start + np.argmin(run))
        raise AssertionError("all bytes are defined")

    def mark(self, base: int, footprint: Footprint) -> None:
        """Says that bytes are written."""
        if footprint.dense or footprint.dims:
            footprint.flag_view(self.flags, base)[...] = True
        else:
            self.flags[(footprint.starts()[:, None] + base) + np.arange(footprint.run)] = True

    def array(
        self, base: int, dtype: np.dtype, shape: tuple[int, ...], strides: tuple[int, ...]
    ) -> NDArray:
        """A view of elements, strides in bytes; the caller has checked the bounds."""
        return np.ndarray(shape, dtype, self.data.data, base, strides)

    def packed(self, base: int, dtype: np.dtype | type, count: int) -> NDArray:
        """A view of `count` adjacent elements; the caller has checked the bounds."""
        return np.ndarray((count,), dtype, self.data.data, base)
