"""What a tiling by tiles of different sizes is, and what it costs; `slabs` says what it is for."""

from __future__ import annotations

from typing import NamedTuple

from ssft.compiler.backends.hw.tiles import cost
from ssft.compiler.backends.hw.tiles.boxes import Box
from ssft.compiler.backends.hw.tiles.pieces import lies_together
from ssft.compiler.backends.hw.tiles.product_space import Command, Operand, ProductSpace, Range
from ssft.compiler.backends.hw.tiles.timeline import NEVER, Load, Product, Result, finish
from ssft.hwmodel.config import Machine
from ssft.hwmodel.isa import DimKind


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


class SlabSpace(ProductSpace):
    """The tilings of a product by slabs and chunks; its outer dimension is that of the chunks."""

    def __init__(
        self, kinds: tuple[DimKind, ...], a: Operand, b: Operand, c: Operand, machine: Machine
    ) -> None:
        super().__init__(kinds, a, b, c, machine)
        if not self._together(Range(0, -(-self.outer.granules // 2))):
            self.swap()
        self.shared = "a" if self.swapped else "b"
        self._joining: dict[tuple[int, bool], bool] = {}
        self._storing: dict[tuple[int, bool], bool] = {}
        self._known: dict[Cuts, float] = {}
        self.joins = self._joins(Range(0, -(-self.k.granules // 2)))

    def _joins(self, k: Range) -> bool:
        """Whether a slab of the factor that all chunks share is packed as within the whole."""
        key = self.k.shape(k)
        if key not in self._joining:
            factor = self.factors[1]
            self._joining[key] = lies_together(self.part(factor, self.slab(k)), factor.walk)
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
                    parts.append((self.shared, self.box(command._replace(k=k))))
                loaded.add(k)
            box = self.box(command)
            found.append(Box(box.starts, box.sizes, box.first, box.last, tuple(parts)))
        return found

    def cycles(self, cuts: Cuts) -> float:
        """When all is done; never, if parts that have to lie together do not."""
        if cuts not in self._known:
            self._known[cuts] = self._finish(cuts)
        return self._known[cuts]

    def _finish(self, cuts: Cuts) -> float:
        loads: list[Load] = []
        products: list[Product] = []
        stores: list[Result] = []
        loaded: set[tuple[Range, Range]] = set()
        if cuts.staggered and not all(map(self._joins, self.k.cut(cuts.k))):
            return NEVER
        wide = self.result.stored_as != "f32" and bool(cuts.k)
        for command in self.commands(cuts):
            loads += map(Load, self.load(0, command))
            for k in command.slabs:
                if (command.inner, k) not in loaded:
                    loaded.add((command.inner, k))
                    loads += map(Load, self.load(1, command._replace(k=k)))
            if command.last:
                transfers = self.store_chunk(command.outer)
                if transfers is None:
                    return NEVER
                delay = self._conversion(command) if wide else 0
                stores += [Result(cycles, len(products), delay) for cycles in transfers]
            products.append(Product(self.product(command), len(loads)))
        issue = self._machine.command.issue_cycles
        return finish(loads, products, stores, issue, cost.latency_cycles(self._machine))

    def store_chunk(self, chunk: Range) -> tuple[int, ...] | None:
        """Cycles of the transfers of a chunk; None if it does not lie together."""
        key = self.outer.shape(chunk)
        if key not in self._storing:
            self._storing[key] = self._together(chunk)
        if not self._storing[key]:
            return None
        return self.store(self.slab(self.k.whole)._replace(outer=chunk))

    def _together(self, chunk: Range) -> bool:
        """Whether a chunk is packed as within the whole."""
        command = self.slab(self.k.whole)._replace(outer=chunk)
        return lies_together(self.part(self.result, command), self.result.walk)

    def _conversion(self, command: Command) -> int:
        """Cycles to round a chunk's sums to what is stored."""
        elements = self.outer.extent(command.outer) * self.inner.extent(command.inner)
        vector = self._machine.vector
        steps = -(-elements // vector.lanes)
        return self._machine.command.issue_cycles + vector.startup_cycles + steps
