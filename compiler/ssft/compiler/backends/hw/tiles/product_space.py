"""What parts of a product cost: commands of the tensor unit, and transfers of what they need."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ssft.compiler.backends.hw.tiles import cost
from ssft.compiler.backends.hw.tiles.boxes import Box, Walk, own_part, runs
from ssft.hwmodel.config import Machine
from ssft.hwmodel.isa import DimKind
from ssft.hwmodel.isa.contraction import GROUP
from ssft.hwmodel.isa.dtypes import ELEMENT_BYTES, DType

MOST_GRANULES = 128
"""Along a dimension; a granule is a multiple of the group of products that are summed as one."""


@dataclass(frozen=True, slots=True)
class Operand:
    """An operand as a whole, in DRAM; `own` says for each loop whether it is one of its own."""

    walk: Walk
    own: tuple[bool, ...]
    stored_as: DType


_Shape = tuple[int, bool]


class Range(NamedTuple):
    """Granules ``start .. stop - 1`` of a dimension."""

    start: int
    stop: int


class Command(NamedTuple):
    """A product: its ranges, and whether it is the first or the last one of its results.

    `slabs` are the parts of k that are loaded one by one.
    """

    outer: Range
    inner: Range
    k: Range
    first: bool
    last: bool
    slabs: tuple[Range, ...]


class Axis:
    """The loops of a kind, of which the outermost may be cut: any part of it is a box."""

    def __init__(self, kinds: tuple[DimKind, ...], extents: tuple[int, ...], kind: str) -> None:
        self._extents = [e for e, other in zip(extents, kinds, strict=True) if other == kind]
        self._cut = next((i for i, extent in enumerate(self._extents) if extent > 1), None)
        self._granule = self.granules = 1
        if self._cut is not None:
            inner = math.prod(self._extents[self._cut + 1 :])
            extent = self._extents[self._cut]
            self._granule = GROUP // math.gcd(GROUP, inner)
            self._granule *= -(-extent // (self._granule * MOST_GRANULES))
            self.granules = -(-extent // self._granule)
        self.whole = Range(0, self.granules)

    def part(self, of: Range) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Starts and sizes of the loops."""
        starts, sizes = [0] * len(self._extents), list(self._extents)
        if self._cut is not None:
            starts[self._cut] = of.start * self._granule
            stop = min(of.stop * self._granule, self._extents[self._cut])
            sizes[self._cut] = stop - starts[self._cut]
        return tuple(starts), tuple(sizes)

    def extent(self, of: Range) -> int:
        """Iterations of all loops."""
        return math.prod(self.part(of)[1])

    def shape(self, of: Range) -> tuple[int, bool]:
        """What costs depend on: how many granules, and whether the last one may be smaller."""
        return of.stop - of.start, of.stop == self.granules

    def cut(self, cuts: tuple[int, ...]) -> list[Range]:
        """The ranges between cuts."""
        return [*map(Range, (0, *cuts), (*cuts, self.granules))]


class ProductSpace:
    """The parts of a product whose operands all lie in DRAM; what they cost is remembered.

    `outer` and `inner` are the dimensions of the results, m and n, or n and m with `swapped`, and
    `factors` the operands that have them.
    """

    def __init__(
        self, kinds: tuple[DimKind, ...], a: Operand, b: Operand, c: Operand, machine: Machine
    ) -> None:
        self._machine, self._batch = machine, kinds.count("batch")
        extents = tuple(map(max, a.walk.extents, b.walk.extents, c.walk.extents))
        self.outer, self.inner, self.k = (Axis(kinds, extents, kind) for kind in "mnk")
        self.result, self.factors, self.swapped = c, (a, b), False
        count = self.k.granules
        lengths = range(1, count + 1)
        self._transfers: dict[tuple[int, _Shape, _Shape], tuple[int, ...]] = {}
        self._products: dict[tuple[_Shape, _Shape], cost.Integers] = {}
        self._extents_of_k = np.array(
            [
                [self.k.extent(Range(0, n)) for n in lengths],
                [self.k.extent(Range(count - n, count)) for n in lengths],
            ]
        )

    def swap(self) -> None:
        """Makes the outer dimension of the results the inner one."""
        self.outer, self.inner = self.inner, self.outer
        self.factors = (self.factors[1], self.factors[0])
        self.swapped = not self.swapped
        self._transfers.clear()
        self._products.clear()

    def box(self, command: Command) -> Box:
        """The tile of a command."""
        axes = [(self.outer, command.outer), (self.inner, command.inner)]
        starts, sizes = (0,) * self._batch, (1,) * self._batch
        for axis, of in [*(reversed(axes) if self.swapped else axes), (self.k, command.k)]:
            more_starts, more_sizes = axis.part(of)
            starts, sizes = starts + more_starts, sizes + more_sizes
        return Box(starts, sizes, command.first, command.last)

    def load(self, number: int, command: Command) -> tuple[int, ...]:
        """Cycles of the transfers of what a product needs of a factor."""
        outer = self.inner.shape(command.inner) if number else self.outer.shape(command.outer)
        key = (number, outer, self.k.shape(command.k))
        if key not in self._transfers:
            factor = self.factors[number]
            self._transfers[key] = self._moves(self.part(factor, command), factor)
        return self._transfers[key]

    def store(self, command: Command) -> tuple[int, ...]:
        """The same for its results."""
        outer, inner = self.outer.shape(command.outer), self.inner.shape(command.inner)
        key = (len(self.factors), outer, inner)
        if key not in self._transfers:
            self._transfers[key] = self._moves(self.part(self.result, command), self.result)
        return self._transfers[key]

    def product(self, command: Command) -> int:
        """Cycles of a product, without its issue."""
        key = (self.outer.shape(command.outer), self.inner.shape(command.inner))
        if key not in self._products:
            m, n = self.outer.extent(command.outer), self.inner.extent(command.inner)
            m, n = (n, m) if self.swapped else (m, n)
            self._products[key] = cost.gemm_cycles(self._machine, 1, m, n, self._extents_of_k)
        length, at_end = self.k.shape(command.k)
        return int(self._products[key][int(at_end), length - 1])

    def part(self, operand: Operand, command: Command) -> Walk:
        """What a command needs of an operand."""
        return own_part(operand.walk, operand.own, self.box(command))

    def _moves(self, part: Walk, operand: Operand) -> tuple[int, ...]:
        element = ELEMENT_BYTES[operand.stored_as]
        return tuple(
            cost.rows_cycles(self._machine, run.rows, run.run * element, run.pitch * element)
            for run in runs(part)
        )
