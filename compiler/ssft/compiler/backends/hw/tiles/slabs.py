"""Tilings of a product by tiles of different sizes, for one that fits in the scratchpad whole.

Equal tiles leave the tensor unit idle while the first tile is loaded and while the last one is
stored. Here k is cut into slabs that grow, so that little has to be there before work starts and
each slab computes while the next one is loaded; the last slab is cut into chunks of results that
shrink, so that little is left to store after the last product. The first slab may be cut in two, so
that even less has to be there. Each command costs its fill and drain again, so that how many there
are is part of the search.

Nothing is loaded or stored twice, and sums of all results stay in the scratchpad.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from typing import NamedTuple

from ssft.compiler.backends.hw.tiles import cost
from ssft.compiler.backends.hw.tiles.boxes import Box, Walk, own_part, runs
from ssft.compiler.backends.hw.tiles.pieces import is_nested, lies_together
from ssft.compiler.backends.hw.tiles.timeline import NEVER, Product, Result, finish
from ssft.hwmodel.config import Machine
from ssft.hwmodel.isa import DimKind
from ssft.hwmodel.isa.contraction import GROUP
from ssft.hwmodel.isa.dtypes import ELEMENT_BYTES, DType

SEEDS = (1, 2, 3, 4, 6, 8, 12, 16)
"""Granules of the first slab and of the last chunk that the search starts from."""

DESCENTS = 4
"""From how many of these it goes on."""

STEPS = (1, 2, 4, 8)
"""By how many granules a cut is moved."""

MOST_GRANULES = 128
"""Along a dimension; a granule is a multiple of the group of products that are summed as one."""

MOST_CUTS = 5


@dataclass(frozen=True, slots=True)
class Operand:
    """An operand as a whole: how it is walked, and whether it passes through the scratchpad.

    `own` says for each loop whether it is one of the operand's.
    """

    walk: Walk
    own: tuple[bool, ...]
    stored_as: DType
    streamed: bool


@dataclass(frozen=True, slots=True)
class Slabs:
    """A tiling: its commands in order, and the cycle in which the last result is stored."""

    boxes: tuple[Box, ...]
    cycles: int


class Range(NamedTuple):
    """Granules ``start .. stop - 1`` of a dimension."""

    start: int
    stop: int


class _Cuts(NamedTuple):
    """Where things are cut, in granules: k; the results of the last slab; those of the first."""

    k: tuple[int, ...]
    tail: tuple[int, ...]
    head: tuple[int, ...]
    halves: str
    """The dimension that `head` cuts."""


class _Command(NamedTuple):
    """A product: ranges of m, n and k, and whether it is the first or the last of its results."""

    m: Range
    n: Range
    k: Range
    first: bool
    last: bool


class _Axis:
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

    def cut(self, cuts: tuple[int, ...]) -> list[Range]:
        """The ranges between cuts."""
        return [*map(Range, (0, *cuts), (*cuts, self.granules))]


@cost.memoized
def search_slabs(
    kinds: tuple[DimKind, ...], a: Operand, b: Operand, c: Operand, machine: Machine
) -> Slabs | None:
    """The best tiling found by changing one cut at a time; None if none is legal.

    `kinds` are those of the loops of all walks: a batch of one, then m, n and k. Walks start at 0.
    """
    search = _Search(kinds, a, b, c, machine)
    if not is_nested(c.walk):
        return None
    best = min(map(search.descend, search.starts()), key=search.cycles)
    if search.cycles(best) == NEVER:
        return None
    boxes = tuple(search.box(command) for command in search.commands(best))
    return Slabs(boxes, math.ceil(search.cycles(best)))


class _Search:
    """Evaluates cuts, and remembers what pieces cost."""

    def __init__(
        self, kinds: tuple[DimKind, ...], a: Operand, b: Operand, c: Operand, machine: Machine
    ) -> None:
        self._machine, self._c = machine, c
        self._batch = kinds.count("batch")
        extents = tuple(map(max, a.walk.extents, b.walk.extents, c.walk.extents))
        self._m, self._n, self._k = (_Axis(kinds, extents, kind) for kind in "mnk")
        self._factors = (a, b)
        self._latency = cost.latency_cycles(machine)
        self._tail = self._outer_axis()
        self._transfers: dict[tuple[int, Range, Range], tuple[int, ...] | None] = {}
        self._products: dict[tuple[Range, Range, Range], int] = {}
        self._known: dict[_Cuts, float] = {}

    def _outer_axis(self) -> str:
        """The dimension of which parts of the result follow each other in memory."""
        half = Range(0, -(-self._m.granules // 2))
        part = self._part(self._c, _Command(half, self._n.whole, self._k.whole, True, True))
        return "m" if lies_together(part, self._c.walk) else "n"

    def starts(self) -> list[_Cuts]:
        """Balanced cuts, for some first slabs and last chunks; of each number of cuts the best.

        In balance, a slab is loaded while the one before it computes, and a chunk is stored while
        the one after it does.
        """
        best: dict[tuple[int, int], _Cuts] = {}
        for slab, merged in product(SEEDS, (0, 1)):
            k = self._growing(slab, merged)
            for chunk in SEEDS if self._c.streamed else (0,):
                cuts = _Cuts(k, self._shrinking(self._k.cut(k)[-1], chunk), (), "n")
                key = (len(cuts.k), len(cuts.tail))
                if self.cycles(cuts) < self.cycles(best.setdefault(key, cuts)):
                    best[key] = cuts
        return sorted(best.values(), key=self.cycles)[:DESCENTS]

    def descend(self, cuts: _Cuts) -> _Cuts:
        """The best that is reached by changing one cut at a time for the better."""
        while True:
            found = min(self.neighbours(cuts), key=self.cycles, default=cuts)
            if self.cycles(found) >= self.cycles(cuts):
                return cuts
            cuts = found

    def _growing(self, slab: int, merged: int) -> tuple[int, ...]:
        """Cuts of k, the first after `slab` granules; the last `merged` ones are left out."""
        count = self._k.granules
        cuts, start = [0], slab
        while start < count:
            busy = self._product(self._whole(Range(cuts[-1], start)))
            cuts.append(start)
            start += _most(count - start, busy, self._slab_load)
        return tuple(cuts[1 : len(cuts) - merged])

    def _slab_load(self, size: int) -> int:
        """Cycles to load the factors of a slab of `size` granules."""
        command = self._whole(Range(0, size))
        keys = ((0, command.m, command.k), (1, command.n, command.k))
        streamed = (key for key in keys if self._factors[key[0]].streamed)
        return sum(sum(self._load(key, command)) for key in streamed)

    def _whole(self, k: Range) -> _Command:
        return _Command(self._m.whole, self._n.whole, k, True, True)

    def _shrinking(self, slab: Range, chunk: int) -> tuple[int, ...]:
        """Cuts of the last slab's results, the last of which leaves `chunk` granules."""
        stop = self._axis(self._tail).granules
        cuts: list[int] = []
        start = stop - chunk
        while 0 < start < stop and len(cuts) < MOST_CUTS:
            busy = self._product(self._chunk(Range(start, stop), slab))
            cuts.append(start)
            stop = start
            start -= _most(start, busy, self._chunk_store)
        return tuple(reversed(cuts))

    def _chunk_store(self, size: int) -> float:
        """Cycles to store a chunk of `size` granules."""
        transfers = self._store(self._chunk(Range(0, size), self._k.whole))
        return NEVER if transfers is None else sum(transfers)

    def _chunk(self, of: Range, k: Range) -> _Command:
        command = self._whole(k)
        return command._replace(m=of) if self._tail == "m" else command._replace(n=of)

    def commands(self, cuts: _Cuts) -> list[_Command]:
        """The products in order."""
        slabs = self._k.cut(cuts.k)
        found = []
        for number, k in enumerate(slabs):
            first, last = number == 0, number == len(slabs) - 1
            pieces = {"m": [self._m.whole], "n": [self._n.whole]}
            if last:
                chunks = self._axis(self._tail).cut(cuts.tail)
                # As list scheduling will have it: what takes longest to store goes first.
                pieces[self._tail] = sorted(chunks, key=lambda of: of.start - of.stop)
            elif first:
                pieces[cuts.halves] = self._axis(cuts.halves).cut(cuts.head)
            found += [_Command(m, n, k, first, last) for m in pieces["m"] for n in pieces["n"]]
        return found

    def box(self, command: _Command) -> Box:
        """The loops of a command."""
        starts, sizes = (0,) * self._batch, (1,) * self._batch
        axes = (self._m, self._n, self._k)
        for axis, of in zip(axes, (command.m, command.n, command.k), strict=True):
            more_starts, more_sizes = axis.part(of)
            starts, sizes = starts + more_starts, sizes + more_sizes
        return Box(starts, sizes, command.first, command.last)

    def cycles(self, cuts: _Cuts) -> float:
        """When all is done; never, if parts of the result do not lie together."""
        if cuts not in self._known:
            self._known[cuts] = self._finish(self.commands(cuts))
        return self._known[cuts]

    def _finish(self, commands: list[_Command]) -> float:
        loads: list[int] = []
        products: list[Product] = []
        stores: list[Result] = []
        loaded: set[tuple[int, Range, Range]] = set()
        wide = self._c.stored_as != "f32" and not commands[0].last
        for command in commands:
            for number, outer in enumerate((command.m, command.n)):
                key = (number, outer, command.k)
                if self._factors[number].streamed and key not in loaded:
                    loaded.add(key)
                    loads += self._load(key, command)
            if command.last and self._c.streamed:
                transfers = self._store(command)
                if transfers is None:
                    return NEVER
                delay = self._conversion(command) if wide else 0
                stores += [Result(cycles, len(products), delay) for cycles in transfers]
            products.append(Product(self._product(command), len(loads)))
        return finish(loads, products, stores, self._machine.command.issue_cycles, self._latency)

    def _load(self, key: tuple[int, Range, Range], command: _Command) -> tuple[int, ...]:
        if key not in self._transfers:
            factor = self._factors[key[0]]
            self._transfers[key] = self._moves(self._part(factor, command), factor)
        found = self._transfers[key]
        assert found is not None
        return found

    def _store(self, command: _Command) -> tuple[int, ...] | None:
        key = (len(self._factors), command.m, command.n)
        if key not in self._transfers:
            part = self._part(self._c, command)
            together = lies_together(part, self._c.walk)
            self._transfers[key] = self._moves(part, self._c) if together else None
        return self._transfers[key]

    def _moves(self, part: Walk, operand: Operand) -> tuple[int, ...]:
        """Cycles of the transfers of a part."""
        element = ELEMENT_BYTES[operand.stored_as]
        return tuple(
            cost.rows_cycles(self._machine, run.rows, run.run * element, run.pitch * element)
            for run in runs(part)
        )

    def _product(self, command: _Command) -> int:
        key = (command.m, command.n, command.k)
        if key not in self._products:
            axes = (self._m, self._n, self._k)
            extents = (axis.extent(of) for axis, of in zip(axes, key, strict=True))
            self._products[key] = int(cost.gemm_cycles(self._machine, 1, *extents))
        return self._products[key]

    def _conversion(self, command: _Command) -> int:
        """Cycles to round a chunk's sums to what is stored."""
        elements = self._m.extent(command.m) * self._n.extent(command.n)
        vector = self._machine.vector
        steps = -(-elements // vector.lanes)
        return self._machine.command.issue_cycles + vector.startup_cycles + steps

    def _part(self, operand: Operand, command: _Command) -> Walk:
        box = self.box(command)
        return own_part(operand.walk, operand.own, box)

    def _axis(self, name: str) -> _Axis:
        return self._m if name == "m" else self._n

    def neighbours(self, cuts: _Cuts) -> Iterator[_Cuts]:
        """Cuts that differ in one."""
        for k in _changed(cuts.k, self._k.granules):
            yield cuts._replace(k=k) if k else cuts._replace(k=k, head=())
        if self._c.streamed:
            for tail in _changed(cuts.tail, self._axis(self._tail).granules):
                yield cuts._replace(tail=tail)
        for name in (cuts.halves,) if cuts.head else ("m", "n"):
            count = self._axis(name).granules
            starts = _moved(cuts.head, count) if cuts.head else [(count // 8,)] * (count >= 8)
            yield from (cuts._replace(head=head, halves=name) for head in starts if cuts.k)
        if cuts.head:
            yield cuts._replace(head=())


def _changed(cuts: tuple[int, ...], count: int) -> Iterator[tuple[int, ...]]:
    """The same with one cut moved, removed, or added in the middle of a part."""
    yield from _moved(cuts, count)
    for at in range(len(cuts)):
        yield (*cuts[:at], *cuts[at + 1 :])
    if len(cuts) < MOST_CUTS:
        for low, high in zip((0, *cuts), (*cuts, count), strict=True):
            if high - low > 1:
                yield tuple(sorted((*cuts, (low + high) // 2)))


def _moved(cuts: tuple[int, ...], count: int) -> Iterator[tuple[int, ...]]:
    """The same with one cut, or one and all that follow it, moved."""
    for at, cut in enumerate(cuts):
        for step in (sign * size for size in STEPS for sign in (1, -1)):
            alone = (*cuts[:at], cut + step, *cuts[at + 1 :])
            together = (*cuts[:at], *(later + step for later in cuts[at:]))
            for found in {alone, together}:
                bounds = (0, *found, count)
                if all(low < high for low, high in pairwise(bounds)):
                    yield found


def _most(limit: int, cycles: float, cost_of: Callable[[int], float]) -> int:
    """The most granules, of `limit` and at least one, that cost at most `cycles`."""
    low, high = 1, limit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if cost_of(middle) <= cycles else (low, middle - 1)
    return low
