"""Reserves slots earlier where there is room, so that loads can run further ahead."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ssft.compiler.backends.hw.memory.allocate import ALIGNMENT, Lifetime

FULLEST = 0.97
"""Of the scratchpad; fuller moments leave an allocator too little choice."""


def begin_earlier(
    starts: Sequence[int], slots: Sequence[Lifetime], others: Sequence[Lifetime], capacity: int
) -> list[int]:
    """From when on the slots of each kernel are reserved: one kernel before `starts` if they fit.

    `slots` are those of all kernels as they are now, from a kernel's start to the kernel itself;
    `others` is what else lives in the scratchpad. What a kernel reads and nobody has just computed,
    weights above all, can then be loaded while two kernels before it still run: DRAM has work even
    if one of them needs nothing from it.
    """
    count = len(starts)
    occupied = np.zeros(count + 1, dtype=np.int64)
    of_kernel = np.zeros(count, dtype=np.int64)
    for entry in [*slots, *others]:
        size = -(-entry.bytes // ALIGNMENT) * ALIGNMENT
        occupied[entry.first] += size
        occupied[entry.last + 1] -= size
    for entry in slots:
        of_kernel[entry.last] += -(-entry.bytes // ALIGNMENT) * ALIGNMENT
    occupied = np.cumsum(occupied)
    found = list(starts)
    for kernel, start in enumerate(starts):
        if start and occupied[start - 1] + of_kernel[kernel] <= FULLEST * capacity:
            occupied[start - 1] += of_kernel[kernel]
            found[kernel] = start - 1
    return found
