"""Tilings of a product by tiles of different sizes, for one that fits in the scratchpad whole.

Equal tiles leave the tensor unit idle while the first tile is loaded and while the last one is
stored. Here k is cut into slabs that grow, so that little has to be there before work starts and
each slab computes while the next one is loaded; results are cut into chunks that shrink, so that
little is left to store after the last product. Where slabs of the factor that all chunks share can
be put together again, the last chunks leave out slabs at first and then take them all in one
product: that gives more time to load what comes next, and to store what came before. The first
product may be cut in two, so that even less has to be there. Each command costs its fill and drain
again, so that how many there are is part of the search.

Nothing is loaded or stored twice, and sums of all results stay in the scratchpad.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from random import Random

from ssft.compiler.backends.hw.tiles import cost
from ssft.compiler.backends.hw.tiles.boxes import Box
from ssft.compiler.backends.hw.tiles.pieces import is_nested
from ssft.compiler.backends.hw.tiles.product_space import Operand, Range
from ssft.compiler.backends.hw.tiles.slab_space import Cuts, SlabSpace
from ssft.compiler.backends.hw.tiles.timeline import NEVER
from ssft.hwmodel.config import Machine
from ssft.hwmodel.isa import DimKind

SEEDS = (1, 2, 3, 4, 6, 8, 12, 16)
"""Granules of the first slab and of the last chunk that the search starts from."""

STEPS = (-8, -4, -2, -2, -1, -1, -1, 1, 1, 1, 2, 2, 4, 8)
"""By how many granules a cut is moved."""

TRIALS, HEAT, COOLING = 3000, 1 / 256, 0.9985
"""Of simulated annealing: changes tried, and the temperature as a part of all cycles."""

MOST_CUTS = 5


@dataclass(frozen=True, slots=True)
class Slabs:
    """A tiling: its tiles in order, and the cycle in which the last result is stored.

    `joined`: the factor, if any, that is put together from parts; tiles say which to load.
    """

    boxes: tuple[Box, ...]
    cycles: int
    joined: str | None


@cost.memoized
def search_slabs(
    kinds: tuple[DimKind, ...], a: Operand, b: Operand, c: Operand, machine: Machine
) -> Slabs | None:
    """The best tiling found; None if none is legal. The same arguments give the same tiling.

    `kinds` are those of the loops of all walks: a batch of one, then m, n and k. Walks start at 0.
    """
    if not all(is_nested(operand.walk) for operand in (a, b, c)):
        return None
    space = SlabSpace(kinds, a, b, c, machine)
    best = min((_anneal(space, cuts) for cuts in _starts(space)), key=space.cycles)
    if space.cycles(best) == NEVER:
        return None
    joined = space.shared if best.staggered else None
    return Slabs(tuple(space.boxes(best)), math.ceil(space.cycles(best)), joined)


def _starts(space: SlabSpace) -> list[Cuts]:
    """Balanced cuts: the best with each slab for all chunks, and the best of the others.

    In balance, a slab is loaded while the one before it computes, and a chunk is stored while the
    one after it does.
    """
    best: dict[bool, Cuts] = {}
    for slab, merged in product(SEEDS, (0, 1)):
        k = _growing(space, slab, merged)
        for chunk in SEEDS:
            for cuts in _with_reach(space, k, chunk):
                if space.cycles(cuts) < space.cycles(best.setdefault(cuts.staggered, cuts)):
                    best[cuts.staggered] = cuts
    return list(best.values())


def _with_reach(space: SlabSpace, k: tuple[int, ...], chunk: int) -> Iterator[Cuts]:
    """Balanced chunks if all slabs reach all of them, or the first slab some and others one."""
    chunks = _shrinking(space, space.k.cut(k)[-1], chunk)
    yield Cuts(k, chunks, (len(chunks) + 1,) * len(k))
    if space.joins and k:
        chunks = _shrinking(space, Range(k[0], space.k.granules), chunk)
        for first in range(2, len(chunks) + 2):
            yield Cuts(k, chunks, (first, *[1] * (len(k) - 1)))


def _growing(space: SlabSpace, slab: int, merged: int) -> tuple[int, ...]:
    """Cuts of k, the first after `slab` granules; the last `merged` ones are left out."""
    count = space.k.granules
    cuts, start = [0], slab
    while start < count:
        busy = space.product(space.slab(Range(cuts[-1], start)))
        cuts.append(start)
        start += _most(count - start, busy, lambda size: _slab_load(space, size))
    return tuple(cuts[1 : len(cuts) - merged])


def _slab_load(space: SlabSpace, size: int) -> int:
    """Cycles to load the factors of a slab of `size` granules."""
    command = space.slab(Range(0, size))
    return sum(sum(space.load(number, command)) for number in (0, 1))


def _shrinking(space: SlabSpace, slab: Range, chunk: int) -> tuple[int, ...]:
    """Cuts of the last slab's results, the last of which leaves `chunk` granules."""
    stop = space.outer.granules
    cuts: list[int] = []
    start = stop - chunk
    while 0 < start < stop and len(cuts) < MOST_CUTS:
        busy = space.product(space.slab(slab)._replace(outer=Range(start, stop)))
        cuts.append(start)
        stop = start
        start -= _most(start, busy, lambda size: _chunk_store(space, size))
    return tuple(reversed(cuts))


def _chunk_store(space: SlabSpace, size: int) -> float:
    """Cycles to store a chunk of `size` granules."""
    transfers = space.store_chunk(Range(0, size))
    return NEVER if transfers is None else sum(transfers)


def _most(limit: int, cycles: float, cost_of: Callable[[int], float]) -> int:
    """The most granules, of `limit` and at least one, that cost at most `cycles`."""
    low, high = 1, limit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if cost_of(middle) <= cycles else (low, middle - 1)
    return low


def _anneal(space: SlabSpace, cuts: Cuts) -> Cuts:
    """The best that is met by changing one cut after the other at random (simulated annealing)."""
    random, best = Random(0), cuts
    temperature = space.cycles(cuts) * HEAT
    for _ in range(TRIALS):
        temperature *= COOLING
        found = _other(space, cuts, random)
        if not _is_legal(space, found):
            continue
        more = space.cycles(found) - space.cycles(cuts)
        if more < 0 or random.random() < math.exp(-more / temperature):
            cuts = found
        if space.cycles(cuts) < space.cycles(best):
            best = cuts
    return best


def _other(space: SlabSpace, cuts: Cuts, random: Random) -> Cuts:
    """Cuts that differ in one; they may be illegal."""
    choice = random.random()
    if choice < 0.3:
        return cuts._replace(k=_moved(cuts.k, random))
    if choice < 0.7:
        return cuts._replace(chunks=_moved(cuts.chunks, random))
    if choice < 0.8 and cuts.reach:
        at = random.randrange(len(cuts.reach))
        step = random.choice((-1, 1))
        return cuts._replace(reach=(*cuts.reach[:at], cuts.reach[at] + step, *cuts.reach[at + 1 :]))
    if choice < 0.88:
        return _with_head(space, cuts, random)
    return (_with_slabs if choice < 0.94 else _with_chunks)(space, cuts, random)


def _is_legal(space: SlabSpace, cuts: Cuts) -> bool:
    """Whether ranges are not empty, slabs reach ever fewer chunks, and parts can be joined."""
    count = len(cuts.chunks) + 1
    if cuts.staggered and (cuts.across or not space.joins):
        return False
    if cuts.head and not cuts.k:
        return False
    if any(before < after for before, after in pairwise((count, *cuts.reach, 1))):
        return False
    bounds = [(0, *cuts.k, space.k.granules), (0, *cuts.chunks, space.outer.granules)]
    if cuts.head and cuts.across:
        bounds.append((0, *cuts.head, space.inner.granules))
    elif cuts.head:
        stop = (*cuts.chunks, space.outer.granules)[cuts.reach[0] - 1]
        bounds.append((0, *cuts.head, stop))
    return all(low < high for bound in bounds for low, high in pairwise(bound))


def _moved(cuts: tuple[int, ...], random: Random) -> tuple[int, ...]:
    """With one cut, or one and all that follow it, moved."""
    if not cuts:
        return cuts
    at, step = random.randrange(len(cuts)), random.choice(STEPS)
    until = at + 1 if random.random() < 0.7 else len(cuts)
    return (*cuts[:at], *(cut + step for cut in cuts[at:until]), *cuts[until:])


def _with_slabs(space: SlabSpace, cuts: Cuts, random: Random) -> Cuts:
    """With one slab more or less."""
    k, reach = cuts.k, cuts.reach
    if k and random.random() < 0.5:
        at = random.randrange(len(k))
        return cuts._replace(k=k[:at] + k[at + 1 :], reach=reach[:at] + reach[at + 1 :])
    if len(k) == MOST_CUTS:
        return cuts
    at = random.randrange(len(k) + 1)
    low, high = (0, *k, space.k.granules)[at : at + 2]
    far = reach[max(at - 1, 0)] if reach else len(cuts.chunks) + 1
    return cuts._replace(
        k=(*k[:at], (low + high) // 2, *k[at:]), reach=(*reach[:at], far, *reach[at:])
    )


def _with_chunks(space: SlabSpace, cuts: Cuts, random: Random) -> Cuts:
    """With one chunk more or less; slabs reach as far as before."""
    chunks = cuts.chunks
    if chunks and random.random() < 0.5:
        at = random.randrange(len(chunks))
        reach = tuple(count - (count > at + 1) for count in cuts.reach)
        return cuts._replace(chunks=chunks[:at] + chunks[at + 1 :], reach=reach)
    if len(chunks) == MOST_CUTS:
        return cuts
    at = random.randrange(len(chunks) + 1)
    low, high = (0, *chunks, space.outer.granules)[at : at + 2]
    reach = tuple(count + (count > at) for count in cuts.reach)
    return cuts._replace(chunks=(*chunks[:at], (low + high) // 2, *chunks[at:]), reach=reach)


def _with_head(space: SlabSpace, cuts: Cuts, random: Random) -> Cuts:
    """With the cut of the first product moved, removed or added."""
    if cuts.head:
        moved = _moved(cuts.head, random) if random.random() < 0.7 else ()
        return cuts._replace(head=moved, across=cuts.across and bool(moved))
    across = random.random() < 0.5
    axis = space.inner if across else space.outer
    return cuts._replace(head=(axis.granules // 8,), across=across)
