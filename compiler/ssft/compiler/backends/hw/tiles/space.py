"""What each tile size and loop order of a matrix product costs, for many sizes at a time.

A tile of an operand is loaded whenever a loop that the operand depends on goes on, so an operand is
read again for each iteration of the loops outside its own innermost one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import product
from typing import Literal

import numpy as np

from ssft.compiler.backends.hw.tiles.cost import (
    ACCUMULATOR_BYTES,
    Floats,
    Integers,
    ceil_divide,
    gemm_cycles,
    lane_reads,
    latency_cycles,
    transfer_cycles,
)
from ssft.hwmodel.config import Machine

HIDDEN_SHARE = 1 / 8
"""What a cycle that is hidden behind another unit's work counts: neighbours want the unit, too."""

STRIPS = 8
"""Into how many strips a tile of C is cut while it takes over the room of the one before."""

READ_SHARE = 1 / 32
"""What reading a vector per result of a lane counts, of the cycles: it takes energy, not time."""

MATRICES = {"a": "mk", "b": "kn", "c": "mn"}


@dataclass(frozen=True, slots=True)
class Operand:
    """How an operand of a product lies in memory.

    `inner` is the dimension along which it is contiguous in DRAM, for at most `run` elements (0:
    for all of the dimension), and `packed` says whether its rows follow each other without gaps.
    With `streamed` = False it lies in the scratchpad as a whole: it causes no transfers and takes
    nothing of the budget. With `batched` = False all of the batch shares it.
    """

    element_bytes: int
    inner: Literal["m", "n", "k"]
    run: int = 0
    packed: bool = True
    streamed: bool = True
    batched: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """A loop order, and what it costs for each tile size of a `TileSpace`.

    `dma` are the cycles of all transfers, `compute` those of the tensor unit with its waits for
    stores, and `cycles` those of the whole product; `score` ranks.
    """

    order: str
    buffers: dict[str, Integers]
    spm: Integers
    dram_bytes: Floats
    dma: Floats
    compute: Floats
    cycles: Floats
    score: Floats


def in_strips(order: str, depth: int) -> bool:
    """Whether tiles of C are begun and finished strip by strip."""
    return depth == 1 and order[-1] == "k"


class TileSpace:
    """All combinations of some tile sizes: arrays of four axes, for b, m, n and k."""

    def __init__(
        self,
        extents: Mapping[str, int],
        operands: Mapping[str, Operand],
        sizes: Mapping[str, tuple[int, ...]],
        machine: Machine,
    ) -> None:
        self._extents, self._operands, self._machine = extents, operands, machine
        self.size = {
            name: np.array(sizes[name], dtype=np.int64).reshape(
                [-1 if i == j else 1 for j in range(4)]
            )
            for i, name in enumerate("bmnk")
        }
        self.count = {name: ceil_divide(extents[name], self.size[name]) for name in "bmnk"}
        self._shape = np.broadcast_shapes(*(size.shape for size in self.size.values()))
        streamed = {name for name, operand in operands.items() if operand.streamed}
        waits = bool(streamed & {"a", "b"}) + ("c" in streamed)
        self._latency = waits * latency_cycles(machine)
        self.compute = self._compute()
        self._reads = lane_reads(machine, self.size["b"], self.size["m"], self.size["n"])
        self._pass_bytes = {name: self._matrix_bytes(name) for name in MATRICES}
        self._pass_cycles = {name: self._matrix_cycles(name) for name in MATRICES}

    def evaluate(self, order: str, depth: int = 2) -> Plan:
        """What loop order `order`, outermost first, costs.

        `depth` is the number of buffers for each tile of C. With 1, its first and its last step are
        done in `STRIPS` strips, so that the tensor unit can go on where results have been stored.
        """
        issue = self._machine.command.issue_cycles
        dma, dram_bytes, first = (np.zeros(self._shape) for _ in range(3))
        spm, compute = np.zeros(self._shape, dtype=np.int64), self.compute.astype(np.float64)
        buffers = {}
        for name, operand in self._operands.items():
            tiles = self._product(self.count, self._dims(name))
            if name == "c":
                transfers = tiles
                buffers[name], taken = self._sums(order, depth)
            else:
                transfers = self._transfers(order, name)
                buffers[name] = np.where(transfers > 1, 2, 1)
                taken = buffers[name] * self._tile_bytes(name) * operand.streamed
            spm = spm + taken
            if operand.streamed:
                cycles = self._pass_cycles[name] * (transfers / tiles) + transfers * issue
                dma, first = dma + cycles, first + cycles / transfers
                dram_bytes = dram_bytes + self._pass_bytes[name] * (transfers / tiles)
                if name == "c" and depth == 1:
                    # What the first step needs is loaded at the same time.
                    changes = self._changes(order, cycles / transfers, first - cycles / transfers)
                    compute = compute + changes * transfers
        step = compute / self._product(self.count, "bmnk")
        total = np.maximum(compute + first, dma + step) + self._latency
        score = total + HIDDEN_SHARE * np.minimum(compute, dma) + READ_SHARE * self._reads * compute
        return Plan(order, buffers, spm, dram_bytes, dma, compute, total, score)

    def _changes(self, order: str, store: Floats, load: Floats) -> Floats:
        """Cycles that a tile of C takes on top where the next one takes its room.

        `store` are the cycles to store it, `load` those to load the factors of a step.
        """
        latency = latency_cycles(self._machine)
        if not in_strips(order, 1):
            return store + latency
        tensor, issue = self._machine.tensor, self._machine.command.issue_cycles
        commands = (STRIPS - 1) * (tensor.fill_cycles + tensor.drain_cycles + issue)
        steps = np.minimum(2, self.count["k"]) * self.compute / self._product(self.count, "bmnk")
        waits = np.maximum(store / STRIPS, store + 2 * load - steps)
        return 2 * commands + waits + latency

    @property
    def result_tiles(self) -> Integers:
        """The number of tiles of C."""
        return self._product(self.count, self._dims("c"))

    def _dims(self, name: str) -> str:
        """The dimensions that an operand depends on."""
        return MATRICES[name] + "b" * self._operands[name].batched

    def _transfers(self, order: str, name: str) -> Integers:
        """How many tiles of an operand are loaded in all."""
        done = np.ones((1, 1, 1, 1), dtype=np.int64)
        transfers = done
        for dim in "b" + order:
            done = done * self.count[dim]
            if dim in self._dims(name):
                transfers = np.where(self.count[dim] > 1, done, transfers)
        return transfers

    def _product(self, values: Mapping[str, Integers], dims: str) -> Integers:
        """The product of a quantity over some dimensions."""
        return reduce(np.multiply, (values[dim] for dim in dims))

    def _tile_bytes(self, name: str) -> Integers:
        return self._product(self.size, self._dims(name)) * self._operands[name].element_bytes

    def _sums(self, order: str, depth: int) -> tuple[Integers, Integers]:
        """How many tiles of C are in the scratchpad at a time, and the bytes they take."""
        operand, tile = self._operands["c"], self._tile_bytes("c")
        cut = self.count["k"] > 1
        at_a_time = np.ones((1, 1, 1, 1), dtype=np.int64)
        for dim in order[order.index("k") + 1 :]:
            at_a_time = at_a_time * np.where(cut, self.count[dim], 1)
        tiles = self._product(self.count, self._dims("c"))
        buffers = np.where(tiles > at_a_time, depth, 1) * at_a_time
        results = buffers * tile * operand.streamed
        if operand.element_bytes >= ACCUMULATOR_BYTES:
            return buffers, results
        sums = buffers * (tile // operand.element_bytes * ACCUMULATOR_BYTES)
        pieces = np.minimum(buffers, 2) * tile
        if in_strips(order, depth):
            pieces = ceil_divide(2 * tile, STRIPS)
        converted = pieces * operand.streamed
        return buffers, np.where(cut, sums + converted, results)

    def _compute(self) -> Integers:
        """Cycles of the tensor unit; tiles at the edges have their true extents."""
        total = np.zeros(self._shape, dtype=np.int64)
        parts = {}
        for dim, size in self.size.items():
            rest = self._extents[dim] % size
            parts[dim] = [(self._extents[dim] // size, size)]
            if rest.any():
                parts[dim].append(((rest > 0).astype(np.int64), np.maximum(rest, 1)))
        for (nb, b), (nm, m), (nn, n), (nk, k) in product(*(parts[dim] for dim in "bmnk")):
            total += nb * nm * nn * nk * gemm_cycles(self._machine, b, m, n, k)
        return total + self._product(self.count, "bmnk") * self._machine.command.issue_cycles

    def _matrix_bytes(self, name: str) -> int:
        """Bytes of an operand as a whole."""
        elements = np.prod([self._extents[dim] for dim in self._dims(name)], dtype=np.int64)
        return int(elements) * self._operands[name].element_bytes

    def _matrix_cycles(self, name: str) -> Floats:
        """Cycles to transfer each tile of an operand once."""
        operand = self._operands[name]
        inner, outer = operand.inner, MATRICES[name].replace(operand.inner, "")
        run = np.minimum(self.size[inner], operand.run or self._extents[inner])
        pitch = np.inf
        if operand.packed:
            pitch = (operand.run or self._extents[inner]) * operand.element_bytes
            whole = run == self._extents[inner]
            run = np.where(whole, run * self.size[outer], run)
            if operand.batched:
                whole = whole & (self.size[outer] == self._extents[outer])
                run = np.where(whole, run * self.size["b"], run)
        run_bytes = run * operand.element_bytes
        return transfer_cycles(self._machine, run_bytes, self._pass_bytes[name], pitch)
