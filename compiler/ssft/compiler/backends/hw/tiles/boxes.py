"""Tiles: which part of an operand a tile needs, and how it is packed in the scratchpad."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ssft.compiler.backends.hw.views import View


@dataclass(frozen=True, slots=True)
class Walk:
    """An operand along the loops of an operation: first element, extents, strides, lists."""

    offset: int
    extents: tuple[int, ...]
    strides: tuple[int, ...]
    index: tuple[View | None, ...] = ()

    def cut(self, starts: Sequence[int], sizes: Sequence[int]) -> Walk:
        """The part of loops ``starts .. starts + sizes - 1``; later loops stay whole."""
        offset = self.offset
        index = list(self.index)
        for loop, (start, size) in enumerate(zip(starts, sizes, strict=False)):
            if index and index[loop] is not None:
                view = index[loop]
                assert view is not None
                (factor,) = view.dims[0]
                first = view.offset + start * factor.stride
                dims = ((type(factor)(size, factor.stride),),)
                index[loop] = View(view.buffer, first, dims)
            else:
                offset += start * self.strides[loop]
        extents = (*sizes, *self.extents[len(sizes) :])
        return Walk(offset, tuple(extents), self.strides, tuple(index))

    @property
    def active(self) -> list[int]:
        """Loops that move the operand, in the order in which they are packed, major first.

        By stride, so that what is contiguous stays so. Of the loops outside the contiguous run the
        longest comes last: those are the rows of one two-dimensional transfer, the others need a
        transfer per iteration. A loop that looks up a list comes last in any case.
        """
        loops = [
            loop
            for loop, (extent, stride) in enumerate(zip(self.extents, self.strides, strict=True))
            if extent > 1 and stride and loop != self.indexed_loop
        ]
        loops.sort(key=lambda loop: -self.strides[loop])
        groups: list[list[int]] = []
        for loop in loops:
            size = self.extents[loop] * self.strides[loop]
            if groups and self.strides[groups[-1][-1]] == size:
                groups[-1].append(loop)
            else:
                groups.append([loop])
        last = groups.pop() if groups and self.strides[groups[-1][-1]] == 1 else []
        if self.indexed_loop is not None:
            groups.append([self.indexed_loop])
        elif groups:
            longest = max(groups, key=lambda group: math.prod(self.extents[d] for d in group))
            groups.remove(longest)
            groups.append(longest)
        return [loop for group in [*groups, last] for loop in group]

    @property
    def elements(self) -> int:
        """Elements in the tile, packed."""
        return math.prod(self.extents[loop] for loop in self.active)

    @property
    def packed(self) -> tuple[int, ...]:
        """Strides of the packed tile, whose order is that of the addresses."""
        strides = [0] * len(self.extents)
        step = 1
        for loop in reversed(self.active):
            strides[loop] = step
            step *= self.extents[loop]
        return tuple(strides)

    @property
    def span(self) -> int:
        """Elements from the first to the last one touched; lists are not looked at."""
        return 1 + sum(
            (extent - 1) * stride for extent, stride in zip(self.extents, self.strides, strict=True)
        )

    @property
    def indexed_loop(self) -> int | None:
        """The loop that looks up a list."""
        found = [loop for loop, view in enumerate(self.index) if view is not None]
        return found[0] if found else None


@dataclass(frozen=True, slots=True)
class Box:
    """A tile: starts and sizes of all loops, and whether it is the first or last of its results.

    `loads`: operands by name, and their parts that have to be loaded before, where these are not
    just what the tile needs of them. `within`: the tile that this one is a strip of, where operands
    are in the scratchpad as that tile needs them.
    """

    starts: tuple[int, ...]
    sizes: tuple[int, ...]
    first: bool
    last: bool
    loads: tuple[tuple[str, Box], ...] = ()
    within: Box | None = None


def own_part(walk: Walk, own: Sequence[bool], box: Box) -> Walk:
    """What a tile needs of an operand, of whose loops `own` says which they are."""
    starts = [start if mine else 0 for start, mine in zip(box.starts, own, strict=True)]
    sizes = [size if mine else 1 for size, mine in zip(box.sizes, own, strict=True)]
    return walk.cut(starts, sizes)


@dataclass(frozen=True, slots=True)
class Run:
    """`rows` runs of `run` elements, `pitch` apart, from `offset` on; packed from `packed` on."""

    offset: int
    packed: int
    rows: int
    run: int
    pitch: int


def runs(walk: Walk) -> Iterator[Run]:
    """The two-dimensional transfers that move a tile without lists."""
    loops: list[tuple[int, int]] = []
    for loop in walk.active:
        extent, stride = walk.extents[loop], walk.strides[loop]
        if loops and loops[-1][1] == extent * stride:
            loops[-1] = (loops[-1][0] * extent, stride)
        else:
            loops.append((extent, stride))
    run = loops.pop()[0] if loops and loops[-1][1] == 1 else 1
    rows, pitch = loops.pop() if loops else (1, run)
    outer = loops
    size = rows * run
    count = math.prod(extent for extent, _ in outer)
    for number in range(count):
        offset, rest = walk.offset, number
        for extent, stride in reversed(outer):
            rest, position = divmod(rest, extent)
            offset += position * stride
        yield Run(offset, number * size, rows, run, pitch)


def aligned_sizes(extents: Sequence[int]) -> list[int]:
    """Numbers of consecutive iterations of a loop nest that form a box in each of its tiles.

    A tile covers some iterations of one loop, all of those inside it, and one of those outside.
    """
    sizes = {1}
    inner = 1
    for extent in reversed(extents):
        sizes |= {inner * count for count in range(1, extent + 1) if _useful(count, extent)}
        inner *= extent
    return sorted(sizes)


def _useful(count: int, extent: int) -> bool:
    """Divisors and powers of two: enough choice for a tile size."""
    return extent % count == 0 or count & (count - 1) == 0


def _cut(extents: Sequence[int], size: int) -> tuple[int, int, int]:
    """The loop that tiles of `size` iterations cut, into pieces of what extent, and the iterations
    of the loops inside it."""
    inner = 1
    loop = len(extents) - 1
    while loop > 0 and size % (inner * extents[loop]) == 0:
        inner *= extents[loop]
        loop -= 1
    return loop, max(1, size // inner), inner


def cuts_at_multiples(extents: Sequence[int], size: int, unit: int) -> bool:
    """Whether each tile of `size` iterations starts at a multiple of `unit` iterations."""
    if size >= math.prod(extents):
        return True
    loop, chunk, inner = _cut(extents, size)
    once = math.prod(extents[:loop]) == 1
    return chunk * inner % unit == 0 and (once or extents[loop] * inner % unit == 0)


def boxes(extents: Sequence[int], size: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Cuts a loop nest into tiles of `size` iterations (one of `aligned_sizes`): starts, sizes."""
    if not extents:
        yield (), ()
        return
    loop, chunk, _ = _cut(extents, size)
    outer = math.prod(extents[:loop])
    for number in range(outer):
        position, rest = [], number
        for extent in reversed(extents[:loop]):
            rest, index = divmod(rest, extent)
            position.append(index)
        for start in range(0, extents[loop], chunk):
            starts = (*reversed(position), start, *[0] * (len(extents) - loop - 1))
            taken = min(chunk, extents[loop] - start)
            yield starts, (*[1] * loop, taken, *extents[loop + 1 :])


def flat_start(extents: Sequence[int], starts: Sequence[int]) -> int:
    """The number of the first iteration of a box."""
    flat = 0
    for extent, start in zip(extents, starts, strict=True):
        flat = flat * extent + start
    return flat
