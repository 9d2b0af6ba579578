"""Tile sizes and loop orders of matrix products, and tile heights of row-wise kernels.

A product ``C[b, m, n] = sum_k A[b, m, k] B[b, k, n]`` is cut into tiles, one `Gemm` command each.
The loops over tiles are the batch (always outermost) and m, n, k in some order. `tile_space` says
what each choice costs; this module enumerates.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import NamedTuple

import numpy as np

from ssft.compiler.backends.hw.tiles.cost import (
    lane_tile,
    latency_cycles,
    memoized,
    transfer_cycles,
)
from ssft.compiler.backends.hw.tiles.space import STRIPS, Operand, Plan, TileSpace, in_strips
from ssft.hwmodel.config import Machine
from ssft.hwmodel.isa.contraction import GROUP

ORDERS = ("mnk", "nmk", *("".join(p) for p in permutations("mnk") if p[2] != "k"))
"""Loop orders, outermost first. With k innermost each tile of C is finished before the next."""

GRANULE = 16
"""Tile extents are multiples of this, or the whole extent."""

PARTS = (1, 2, 3, 4, 5, 6, 8, 12)
"""Into how many equal tiles an extent is cut, beside powers of two."""

Sizes = tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class GemmTiling:
    """Tile extents and loop order (outermost first; the batch is outside of it) of a product.

    `buffers` is the number of tiles of A, B and C that are in the scratchpad at a time: 2 for
    double buffering, 1 for what is loaded only once, or where the room is better used for larger
    tiles of C; for C with k not innermost as many for each step of the loops inside k. With
    `strips` > 1 each tile of C is begun and finished in so many strips: while the last of one tile
    are stored, the first of the next one are computed in the room of those that have been.
    `spm_bytes` is what these take, without operands that are not streamed; it includes f32 sums of
    a C of fewer bytes where k is cut. Cycles are an estimate of all, the tensor unit's, and DRAM's
    (both directions).
    """

    tb: int
    tm: int
    tn: int
    tk: int
    order: str
    lane_tile: tuple[int, int]
    buffers: tuple[int, int, int]
    spm_bytes: int
    est_cycles: int
    est_compute_cycles: int
    est_dma_cycles: int
    est_dram_bytes: int
    strips: int = 1


class TilingError(Exception):
    """Not even the smallest tiles fit: they need `needed` bytes of `budget`."""

    def __init__(self, needed: int, budget: int) -> None:
        super().__init__(f"the smallest tiles need {needed} bytes of {budget}")
        self.needed, self.budget = needed, budget


class VectorTiling(NamedTuple):
    """`rows` per tile, with `buffers` tiles in the scratchpad, `spm_bytes` in all."""

    rows: int
    buffers: int
    spm_bytes: int
    est_cycles: int


@memoized
def search_gemm(
    batch: int,
    m: int,
    n: int,
    k: int,
    a: Operand,
    b: Operand,
    c: Operand,
    machine: Machine,
    spm_budget_bytes: int,
    allowed: tuple[Sizes, Sizes, Sizes, Sizes] = (None, None, None, None),
) -> GemmTiling:
    """The tiling with the fewest estimated cycles that fits into the budget.

    A product takes as long as the busier of tensor unit and DRAM, and what the first step and the
    last cannot hide; of about equal choices that with less work on the other unit is taken. One
    buffer for tiles of C is tried only where DRAM is the busier. `allowed` restricts the tile
    extents of batch, m, n and k. An extent of k is a multiple of `GROUP`, or all of k, so that
    cutting k changes no result.

    Raises TilingError if nothing fits.
    """
    extents = {"b": batch, "m": m, "n": n, "k": k}
    sizes = {
        name: _candidates(name, extents[name], choice)
        for name, choice in zip("bmnk", allowed, strict=True)
    }
    one = sizes | {"b": (min(sizes["b"]),)}
    # Several products of a batch make one command only where each of them is whole.
    several = {name: (max(found),) for name, found in sizes.items()} | {"b": sizes["b"]}
    operands = {"a": a, "b": b, "c": c}
    spaces = [TileSpace(extents, operands, grid, machine) for grid in (one, several)]
    found = _best(spaces, spm_budget_bytes, depth=2)
    if found is None or found.of("dma") > found.of("compute"):
        single = _best(spaces, spm_budget_bytes, depth=1)
        if found is None or (single is not None and single.of("score") < found.of("score")):
            found = single
    if found is None:
        needed = min(int(s.evaluate(order, 1).spm.min()) for s in spaces for order in ORDERS)
        raise TilingError(needed, spm_budget_bytes)
    return found.tiling(machine)


class _Choice(NamedTuple):
    """Point number `at` of a plan."""

    space: TileSpace
    plan: Plan
    at: int

    def of(self, quantity: str) -> float:
        """A quantity of the plan at this point."""
        return self._here(getattr(self.plan, quantity))

    def tiling(self, machine: Machine) -> GemmTiling:
        tb, tm, tn, tk = (int(self._here(self.space.size[name])) for name in "bmnk")
        a, b, c = (int(self._here(self.plan.buffers[name])) for name in "abc")
        several = int(self._here(self.space.result_tiles)) > 1
        return GemmTiling(
            *(tb, tm, tn, tk, self.plan.order),
            lane_tile=lane_tile(machine, tb, tm, tn),
            buffers=(a, b, c),
            spm_bytes=int(self.of("spm")),
            est_cycles=round(self.of("cycles")),
            est_compute_cycles=int(self._here(self.space.compute)),
            est_dma_cycles=round(self.of("dma")),
            est_dram_bytes=round(self.of("dram_bytes")),
            strips=STRIPS if several and in_strips(self.plan.order, c) else 1,
        )

    def _here(self, values: np.ndarray) -> float:
        return np.broadcast_to(values, self.plan.spm.shape).flat[self.at]


def _best(spaces: list[TileSpace], budget: int, depth: int) -> _Choice | None:
    """The first of the choices with the best score that fit."""
    best, lowest = None, np.inf
    for space in spaces:
        for order in ORDERS:
            plan = space.evaluate(order, depth)
            score = np.where(plan.spm <= budget, plan.score, np.inf)
            at = int(score.argmin())
            if score.flat[at] < lowest:
                best, lowest = _Choice(space, plan, at), score.flat[at]
    return best


def _candidates(name: str, extent: int, allowed: Sizes) -> tuple[int, ...]:
    """Tile extents to try along a dimension, ascending."""
    if allowed is not None:
        legal = {t for t in allowed if t == extent or name != "k" or t % GROUP == 0}
        return tuple(sorted(t for t in legal if 0 < t <= extent)) or (extent,)
    granule = 1 if name == "b" else GRANULE
    powers = {granule << i for i in range(extent.bit_length()) if granule << i < extent}
    # As equal as possible, so that the last tile is not a small remainder.
    equal = {-(-extent // (parts * granule)) * granule for parts in PARTS}
    return tuple(sorted(t for t in powers | equal | {extent} if t <= extent))


def vector_tile(
    rows: int,
    load_bytes: int,
    store_bytes: int,
    local_bytes: int,
    fixed_bytes: int,
    row_cycles: float,
    machine: Machine,
    spm_budget_bytes: int,
    allowed: Sizes = None,
) -> VectorTiling:
    """The tile height of a kernel that works on rows independently.

    Per row it loads `load_bytes` and stores `store_bytes`, both double buffered, keeps
    `local_bytes` in the scratchpad and computes for `row_cycles`; `fixed_bytes` are there all the
    time. `allowed` are the heights to choose from; otherwise these are powers of two, equal parts
    and the whole.

    Raises TilingError if not even the smallest height fits.
    """
    heights = np.array(_candidates("b", rows, allowed), dtype=np.int64)
    tiles = -(-rows // heights)
    buffers = np.where(tiles > 1, 2, 1)
    spm = fixed_bytes + heights * (buffers * (load_bytes + store_bytes) + local_bytes)
    if spm.min() > spm_budget_bytes:
        raise TilingError(int(spm.min()), spm_budget_bytes)
    issue = machine.command.issue_cycles
    load, store = (
        _stream_cycles(machine, heights * size) + issue for size in (load_bytes, store_bytes)
    )
    compute = heights * row_cycles + machine.vector.startup_cycles + issue
    busiest = np.maximum(load + store, compute)
    cycles = (tiles - 1) * busiest + load + compute + store + 2 * latency_cycles(machine)
    # The lowest of equal cost: it leaves more of the scratchpad to others.
    at = int(np.where(spm <= spm_budget_bytes, cycles, np.inf).argmin())
    return VectorTiling(int(heights[at]), int(buffers[at]), int(spm[at]), int(cycles[at]))


def _stream_cycles(machine: Machine, size: np.ndarray) -> np.ndarray:
    """Cycles to move `size` consecutive bytes, alone."""
    return np.where(size > 0, transfer_cycles(machine, np.maximum(size, 1), size), 0.0)
