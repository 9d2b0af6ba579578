"""Tilings of a product that the scratchpad is too small for: a factor streams past the other's.

Some strips of one factor are in the scratchpad, a window, and tiles of the other one pass by, with
all of k in each. A strip leaves when it has met all tiles, and the next one takes its room. If all
strips of a window came at once, they would all leave at once, and the tensor unit would have to
wait for the next window; so they come one after the other, and tiles go round and round. A window
then needs no second one to load into but only the room of a strip, which leaves more for itself,
and a larger window makes for fewer rounds of the factor that streams.

Nothing is added up across commands, so that results of any type are stored as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import nsmallest
from typing import NamedTuple

from ssft.compiler.backends.hw.memory.slots import padded
from ssft.compiler.backends.hw.tiles import cost
from ssft.compiler.backends.hw.tiles.boxes import Box
from ssft.compiler.backends.hw.tiles.product_space import Command, Operand, ProductSpace, Range
from ssft.compiler.backends.hw.tiles.timeline import Load, Product, Result, finish
from ssft.hwmodel.config import Machine
from ssft.hwmodel.isa import DimKind
from ssft.hwmodel.isa.dtypes import ELEMENT_BYTES

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Granules of tiles and strips."""

FIRST_PACE, PACES = 0.5, (0.25, 1.0, 2.0)
"""Tiles that pass before the next strip of the first window comes."""

MOST_COMMANDS = 1500
FOLLOWED, PACED = 12, 3
"""Of the windows that look best, how many are followed command by command, and how many of these
at other paces."""

IN_TURN = 2
"""Tiles of the factor that streams, and of the result, in the scratchpad at a time."""


@dataclass(frozen=True, slots=True)
class Windows:
    """A tiling: its tiles in order, the cycle in which the last result is stored, and how many
    pieces of a, b and c are in the scratchpad."""

    boxes: tuple[Box, ...]
    cycles: int
    buffers: tuple[int, int, int]


class Window(NamedTuple):
    """Granules of a tile and of a strip, strips of a window, and at what pace these come."""

    tile: int
    strip: int
    strips: int
    pace: float = FIRST_PACE


@cost.memoized
def search_windows(
    kinds: tuple[DimKind, ...],
    a: Operand,
    b: Operand,
    c: Operand,
    machine: Machine,
    budget: int,
    limit: int,
) -> Windows | None:
    """The best tiling found that takes at most `budget` bytes and `limit` cycles.

    `kinds` are those of the loops of all walks: a batch of one, then m, n and k.
    """
    best: tuple[float, WindowSpace, Window] | None = None
    for swapped in (False, True):
        space = WindowSpace(kinds, a, b, c, machine)
        if swapped:
            space.swap()
        for cycles, window in _followed(space, budget, limit if best is None else best[0]):
            if cycles <= limit and (best is None or cycles < best[0]):
                best = cycles, space, window
    if best is None:
        return None
    cycles, space, window = best
    return Windows(tuple(space.boxes(window)), math.ceil(cycles), space.buffers(window))


def _followed(space: WindowSpace, budget: int, limit: float) -> Iterator[tuple[float, Window]]:
    """Cycles of the windows that look best at one pace, and of the best of these at others.

    Those that can hardly take fewer cycles than the limit, or than one before, are left out.
    """
    candidates = [(space.estimate(window), window) for window in space.windows(budget)]
    promising = nsmallest(FOLLOWED, (entry for entry in candidates if entry[0] <= limit))
    followed: list[tuple[float, Window]] = []
    for least, window in promising:
        if least > min(limit, *(cycles for cycles, _ in followed), math.inf):
            break
        if space.is_legal(window):
            followed.append((space.cycles(window), window))
    yield from followed
    for _, window in nsmallest(PACED, followed):
        for pace in PACES:
            paced = window._replace(pace=pace)
            if space.is_legal(paced):
                yield space.cycles(paced), paced


class WindowSpace(ProductSpace):
    """The windows of a product: the outer dimension's factor streams past the inner one's."""

    def windows(self, budget: int) -> Iterator[Window]:
        """Those that take at most `budget` bytes: as many strips as fit, or as few for as many
        rounds."""
        for tile in SIZES:
            for strip in SIZES:
                if tile > self.outer.granules or strip > self.inner.granules:
                    continue
                tiles, strips = self._counts(Window(tile, strip, 1))
                if tiles * strips > MOST_COMMANDS:
                    continue
                most = self._most_strips(tile, strip, budget)
                if most:
                    rounds = -(-strips // most)
                    yield from {Window(tile, strip, n) for n in (most, -(-strips // rounds))}

    def _most_strips(self, tile: int, strip: int, budget: int) -> int:
        streamed, held, result = self._bytes(Window(tile, strip, 1))
        count = self._counts(Window(tile, strip, 1))[1]
        fitting = (budget - IN_TURN * (streamed + result)) // held
        return min(count, fitting if fitting >= count else fitting - 1) if fitting > 1 else 0

    def is_legal(self, window: Window) -> bool:
        """Whether the last strip of the first window has come when the first one leaves."""
        return int((window.strips - 1) * window.pace) <= self._counts(window)[0]

    def buffers(self, window: Window) -> tuple[int, int, int]:
        """Pieces of a, b and c in the scratchpad."""
        tiles, strips = self._counts(window)
        streamed, held = min(IN_TURN, tiles), min(window.strips + 1, strips)
        return (held, streamed, IN_TURN) if self.swapped else (streamed, held, IN_TURN)

    def estimate(self, window: Window) -> float:
        """About the fewest cycles at any pace."""
        command = self._command(window, 0, 0)
        tiles, strips = self._counts(window)
        issue = self._machine.command.issue_cycles
        load, held = (sum(self.load(number, command)) + issue for number in (0, 1))
        store, product = sum(self.store(command)) + issue, self.product(command) + issue
        rounds = -(-strips // window.strips)
        moved = rounds * tiles * load + strips * held + tiles * strips * store
        computed = tiles * strips * product + load + held + store
        return max(moved, computed) + 2 * cost.latency_cycles(self._machine)

    def cycles(self, window: Window) -> float:
        """When all is done."""
        loads: list[Load] = []
        products: list[Product] = []
        stores: list[Result] = []
        counts = self.buffers(window)
        streamed, held = (_Ring(counts[number != self.swapped]) for number in (0, 1))
        stored: list[int] = []  # stores up to each product's
        for tile, strip in self._order(window):
            command = self._command(window, tile, strip)
            done = len(products)
            for number, ring, of in ((0, streamed, tile), (1, held, strip)):
                free = ring.take(of, done + 1)
                if free is not None:
                    loads += [Load(cycles, free) for cycles in self.load(number, command)]
            before = stored[done - IN_TURN] if done >= IN_TURN else 0
            products.append(Product(self.product(command), len(loads), before))
            stores += [Result(cycles, done) for cycles in self.store(command)]
            stored.append(len(stores))
        issue = self._machine.command.issue_cycles
        return finish(loads, products, stores, issue, cost.latency_cycles(self._machine))

    def boxes(self, window: Window) -> Iterator[Box]:
        """The tiles in order."""
        for tile, strip in self._order(window):
            yield self.box(self._command(window, tile, strip))

    def _order(self, window: Window) -> Iterator[tuple[int, int]]:
        """Tiles of the factor that streams, and the strips that each of them meets."""
        tiles, strips = self._counts(window)
        comes: list[int] = []
        for strip in range(strips):
            first = strip < window.strips
            comes.append(
                int(strip * window.pace) if first else comes[strip - window.strips] + tiles
            )
        here = 0
        for step in range(comes[-1] + tiles):
            while comes[here] + tiles <= step:
                here += 1
            for strip in range(here, strips):
                if comes[strip] > step:
                    break
                yield step % tiles, strip

    def _counts(self, window: Window) -> tuple[int, int]:
        """Tiles and strips."""
        return -(-self.outer.granules // window.tile), -(-self.inner.granules // window.strip)

    def _command(self, window: Window, tile: int, strip: int) -> Command:
        outer, inner = (
            Range(number * size, min((number + 1) * size, axis.granules))
            for axis, number, size in (
                (self.outer, tile, window.tile),
                (self.inner, strip, window.strip),
            )
        )
        return Command(outer, inner, self.k.whole, True, True, (self.k.whole,))

    def _bytes(self, window: Window) -> tuple[int, ...]:
        """Bytes of a tile, of a strip, and of what they give."""
        command = self._command(window, 0, 0)
        return tuple(
            padded(self.part(operand, command).elements * ELEMENT_BYTES[operand.stored_as])
            for operand in (*self.factors, self.result)
        )


class _Ring:
    """Pieces that are taken in turn."""

    def __init__(self, count: int) -> None:
        self._holds: dict[int, int] = {}
        self._users = [0] * count  # products up to the last that reads a piece
        self._next = 0

    def take(self, number: int, user: int) -> int | None:
        """Notes that product `user`, counted from 1, reads something; None if it is there.

        Otherwise the number of products after which there is room for it.
        """
        piece, free = self._holds.get(number), None
        if piece is None:
            piece = self._next
            self._next = (piece + 1) % len(self._users)
            self._holds = {n: p for n, p in self._holds.items() if p != piece} | {number: piece}
            free = self._users[piece]
        self._users[piece] = user
        return free
