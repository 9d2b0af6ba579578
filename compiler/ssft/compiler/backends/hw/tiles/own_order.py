"""Tiles of a product that are no loops over equal ones, where that gains much."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from ssft.compiler.backends.hw.tiles.bound import fewest_cycles
from ssft.compiler.backends.hw.tiles.contraction_writer import KINDS
from ssft.compiler.backends.hw.tiles.product_space import Operand as WholeOperand
from ssft.compiler.backends.hw.tiles.slabs import Slabs, search_slabs
from ssft.compiler.backends.hw.tiles.windows import Windows, search_windows
from ssft.hwmodel.isa import DimKind
from ssft.hwmodel.isa.dtypes import ELEMENT_BYTES

if TYPE_CHECKING:
    from ssft.compiler.backends.hw.tiles.contraction import ContractionTiles, Operand

SLABS_GAIN = 0.96
"""Tiles of different sizes are taken if they are done after at most this part of the time."""
WINDOWS_GAIN = 1.01
"""The same for windows, whose cycles are followed one by one: others wait more than estimated."""


def search_own_order(tiles: ContractionTiles, budget: int, cycles: int) -> Slabs | Windows | None:
    """Slabs or windows for a product that takes `cycles` with equal tiles, if they gain enough.

    Only if all operands are in DRAM: what is resident was written, or will be read, by neighbours,
    which equal tiles in order let overlap with this product. Windows take at most `budget` bytes;
    whether slabs do is for the caller to see.
    """
    op, operands = tiles.op, tiles.operands
    plain = tiles.index is None and not op.accumulate and tiles.extent("batch") == 1
    if not plain or any(operand.resident for operand in operands.values()):
        return None
    sizes = [
        tiles.tile(operand, tiles.whole).elements * ELEMENT_BYTES[operand.buffer.stored_as]
        for operand in operands.values()
    ]
    macs = math.prod(tiles.extent(kind) for kind in KINDS)
    limit = int(SLABS_GAIN * cycles)
    if fewest_cycles(tiles.machine, macs, sum(sizes[:2]), sizes[2]) > limit:
        return None
    kinds: tuple[DimKind, ...] = tuple(dim.kind for dim in tiles.dims)
    a, b, c = (_as_whole(tiles, operands[name]) for name in ("a", "b", "c"))
    if sum(sizes) > budget:
        limit = int(WINDOWS_GAIN * cycles)
        return search_windows(kinds, a, b, c, tiles.machine, budget, limit)
    found = search_slabs(kinds, a, b, c, tiles.machine)
    return found if found is not None and found.cycles <= limit else None


def _as_whole(tiles: ContractionTiles, operand: Operand) -> WholeOperand:
    """An operand in the terms of both searches."""
    walk = replace(tiles.tile(operand, tiles.whole), offset=0)
    return WholeOperand(walk, tiles.own(operand), operand.buffer.stored_as)
