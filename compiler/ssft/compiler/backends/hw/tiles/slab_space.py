"""What a tiling by tiles of different sizes is, and what it costs; `slabs` says what it is for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ssft.compiler.backends.hw.tiles import cost
from ssft.compiler.backends.hw.tiles.boxes import Box, Walk, own_part, runs
from ssft.compiler.backends.hw.tiles.pieces import lies_together
from ssft.compiler.backends.hw.tiles.timeline import NEVER, Product, Result, finish
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


class Cuts(NamedTuple):
    """Where things are cut, in granules.

    `k` cuts k into slabs. `chunks` cuts the results along the outer of their dimensions. Each slab
    but the last is a product for its first `reach` chunks at once; a chunk takes all slabs after
    those that reach it in one product. The first slab's product is itself cut at `head`, along the
    outer dimension or, with `across`, along the other one.
    """

    k: tuple[int, ...]
    chunks: tuple[int, ...]
    reach: tuple[int, ...]
    head: tuple[int, ...] = ()
    across: bool = False

    @property
    def staggered(self) -> bool:
        """Whether a slab does not reach all chunks."""
        return any(count <= len(self.chunks) for count in self.reach)


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


class SlabSpace:
    """The tilings of a product, and what they cost; what parts cost is remembered."""

    def __init__(
        self, kinds: tuple[DimKind, ...], a: Operand, b: Operand, c: Operand, machine: Machine
    ) -> None:
        self._machine, self._batch = machine, kinds.count("batch")
        extents = tuple(map(max, a.walk.extents, b.walk.extents, c.walk.extents))
        m, n, self.k = (Axis(kinds, extents, kind) for kind in "mnk")
        self.outer, self.inner, self._swapped = m, n, False
        self.result, self.factors = c, (a, b)
        half = self.slab(self.k.whole)._replace(outer=Range(0, -(-m.granules // 2)))
        if not lies_together(self._part(c, half), c.walk):
            self.outer, self.inner, self._swapped = n, m, True
            self.factors = (b, a)
        self.shared = "a" if self._swapped else "b"
        count = self.k.granules
        lengths = range(1, count + 1)
        self._transfers: dict[tuple[int, _Shape, _Shape], tuple[int, ...] | None] = {}
        self._products: dict[tuple[_Shape, _Shape], cost.Integers] = {}
        self._extents_of_k = np.array(
            [
                [self.k.extent(Range(0, n)) for n in lengths],
                [self.k.extent(Range(count - n, count)) for n in lengths],
            ]
        )
        self._joining: dict[_Shape, bool] = {}
        self._known: dict[Cuts, float] = {}
        self.joins = self._joins(Range(0, -(-count // 2)))

    def _joins(self, k: Range) -> bool:
        """Whether a slab of the factor that all chunks share is packed as within the whole."""
        key = self.k.shape(k)
        if key not in self._joining:
            factor = self.factors[1]
            self._joining[key] = lies_together(self._part(factor, self.slab(k)), factor.walk)
        return self._joining[key]

    def slab(self, k: Range) -> Command:
        """The product of a slab for all results."""
        return Command(self.outer.whole, self.inner.whole, k, True, True, (k,))

    def commands(self, cuts: Cuts) -> list[Command]:
        """The products in order."""
        slabs, chunks = tuple(self.k.cut(cuts.k)), self.outer.cut(cuts.chunks)
        found = []
        for number, (k, reach) in enumerate(zip(slabs, cuts.reach, strict=False)):
            stop = chunks[reach - 1].stop
            outer, inner = [Range(0, stop)], [self.inner.whole]
            if number == 0 and cuts.across:
                inner = self.inner.cut(cuts.head)
            elif number == 0:
                outer = [*map(Range, (0, *cuts.head), (*cuts.head, stop))]
            found += [Command(m, n, k, number == 0, False, (k,)) for m in outer for n in inner]
        finals = []
        for number, chunk in enumerate(chunks):
            done = sum(reach > number for reach in cuts.reach)
            k = Range(slabs[done].start, self.k.granules)
            finals.append(Command(chunk, self.inner.whole, k, done == 0, True, slabs[done:]))
        # As list scheduling will have it: what takes longest to store goes first.
        return found + sorted(finals, key=lambda command: command.outer.start - command.outer.stop)

    def boxes(self, cuts: Cuts) -> list[Box]:
        """The tiles in order; if staggered, each with the parts of the shared factor it needs."""
        found, loaded = [], set()
        for command in self.commands(cuts):
            parts = []
            for k in command.slabs:
                if cuts.staggered and k not in loaded:
                    parts.append((self.shared, self._box(command._replace(k=k))))
                loaded.add(k)
            box = self._box(command)
            found.append(Box(box.starts, box.sizes, box.first, box.last, tuple(parts)))
        return found

    def _box(self, command: Command) -> Box:
        m, n = command.outer, command.inner
        axes = [(self.outer, m), (self.inner, n)]
        starts, sizes = (0,) * self._batch, (1,) * self._batch
        for axis, of in [*(reversed(axes) if self._swapped else axes), (self.k, command.k)]:
            more_starts, more_sizes = axis.part(of)
            starts, sizes = starts + more_starts, sizes + more_sizes
        return Box(starts, sizes, command.first, command.last)

    def cycles(self, cuts: Cuts) -> float:
        """When all is done; never, if parts that have to lie together do not."""
        if cuts not in self._known:
            self._known[cuts] = self._finish(cuts)
        return self._known[cuts]

    def _finish(self, cuts: Cuts) -> float:
        loads: list[int] = []
        products: list[Product] = []
        stores: list[Result] = []
        loaded: set[tuple[Range, Range]] = set()
        if cuts.staggered and not all(map(self._joins, self.k.cut(cuts.k))):
            return NEVER
        wide = self.result.stored_as != "f32" and bool(cuts.k)
        for command in self.commands(cuts):
            loads += self.load(0, command)
            for k in command.slabs:
                if (command.inner, k) not in loaded:
                    loaded.add((command.inner, k))
                    loads += self.load(1, command._replace(k=k))
            if command.last:
                transfers = self.store(command)
                if transfers is None:
                    return NEVER
                delay = self._conversion(command) if wide else 0
                stores += [Result(cycles, len(products), delay) for cycles in transfers]
            products.append(Product(self.product(command), len(loads)))
        issue = self._machine.command.issue_cycles
        return finish(loads, products, stores, issue, cost.latency_cycles(self._machine))

    def load(self, number: int, command: Command) -> tuple[int, ...]:
        """Cycles of the transfers of what a product needs of a factor."""
        outer = self.inner.shape(command.inner) if number else self.outer.shape(command.outer)
        key = (number, outer, self.k.shape(command.k))
        if key not in self._transfers:
            factor = self.factors[number]
            self._transfers[key] = self._moves(self._part(factor, command), factor)
        found = self._transfers[key]
        assert found is not None
        return found

    def store(self, command: Command) -> tuple[int, ...] | None:
        """The same for its results; None if they do not lie together."""
        outer, inner = self.outer.shape(command.outer), self.inner.shape(command.inner)
        key = (len(self.factors), outer, inner)
        if key not in self._transfers:
            part = self._part(self.result, command)
            together = lies_together(part, self.result.walk)
            self._transfers[key] = self._moves(part, self.result) if together else None
        return self._transfers[key]

    def _moves(self, part: Walk, operand: Operand) -> tuple[int, ...]:
        element = ELEMENT_BYTES[operand.stored_as]
        return tuple(
            cost.rows_cycles(self._machine, run.rows, run.run * element, run.pitch * element)
            for run in runs(part)
        )

    def product(self, command: Command) -> int:
        """Cycles of a product, without its issue."""
        key = (self.outer.shape(command.outer), self.inner.shape(command.inner))
        if key not in self._products:
            m, n = self.outer.extent(command.outer), self.inner.extent(command.inner)
            m, n = (n, m) if self._swapped else (m, n)
            self._products[key] = cost.gemm_cycles(self._machine, 1, m, n, self._extents_of_k)
        length, at_end = self.k.shape(command.k)
        return int(self._products[key][int(at_end), length - 1])

    def _conversion(self, command: Command) -> int:
        """Cycles to round a chunk's sums to what is stored."""
        elements = self.outer.extent(command.outer) * self.inner.extent(command.inner)
        vector = self._machine.vector
        steps = -(-elements // vector.lanes)
        return self._machine.command.issue_cycles + vector.startup_cycles + steps

    def _part(self, operand: Operand, command: Command) -> Walk:
        return own_part(operand.walk, operand.own, self._box(command))
