"""Who touched what last: a map from bytes, or blocks of bytes, to their last accesses."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ssft.compiler.backends.hw.scheduling.task import Region

_BEFORE_ALL = -(1 << 62)


class Accesses(NamedTuple):
    """The last accesses to a piece of memory, by task number.

    `writers` are the last writers; there is more than one only where it is not known which of them
    came last. `readers` are those that have read since; whoever has waited for all of them has
    waited for the writers, too.
    """

    writers: tuple[int, ...]
    readers: list[int]


class IntervalMap:
    """A map from integers to `Accesses` that is constant on intervals.

    A write makes its whole range one interval again, so the number of intervals follows what is
    live, not how much was written.
    """

    __slots__ = ("_starts", "_states")

    def __init__(self) -> None:
        self._starts: list[int] = [_BEFORE_ALL]
        self._states: list[Accesses] = [Accesses((), [])]

    def read(self, low: int, high: int, task: int, found: set[int]) -> None:
        """Records that `task` reads ``low .. high - 1``; adds whom it must wait for to `found`."""
        first, last = self._cut(low, high)
        for writers, readers in self._states[first:last]:
            found.update(writers)
            readers.append(task)

    def write(self, low: int, high: int, task: int, found: set[int]) -> None:
        """Records that `task` writes ``low .. high - 1``; adds whom it must wait for to `found`."""
        first, last = self._cut(low, high)
        for writers, readers in self._states[first:last]:
            found.update(readers or writers)
        self._starts[first:last] = (low,)
        self._states[first:last] = (Accesses((task,), []),)

    def touch(self, low: int, high: int, past: Accesses) -> None:
        """Adds accesses that may have been anywhere in ``low .. high - 1``."""
        first, last = self._cut(low, high)
        for position in range(first, last):
            writers, readers = self._states[position]
            wrote = *writers, *past.writers
            waits = *(readers or writers), *(past.readers or past.writers)
            self._states[position] = Accesses(
                tuple(dict.fromkeys(wrote)), list(dict.fromkeys(waits))
            )

    def within(self, low: int, high: int) -> Iterator[tuple[int, int, Accesses]]:
        """The intervals of ``low .. high - 1`` that were touched, and their accesses."""
        starts, states = self._starts, self._states
        position = bisect_right(starts, low) - 1
        while position < len(starts) and starts[position] < high:
            end = starts[position + 1] if position + 1 < len(starts) else high
            if states[position].writers or states[position].readers:
                yield max(low, starts[position]), min(high, end), states[position]
            position += 1

    def _cut(self, low: int, high: int) -> tuple[int, int]:
        """Makes `low` and `high` ends of intervals; returns the numbers of those between them."""
        starts, states = self._starts, self._states
        first = bisect_left(starts, low)
        if first == len(starts) or starts[first] != low:
            writers, readers = states[first - 1]
            starts.insert(first, low)
            states.insert(first, Accesses(writers, readers[:]))
        last = bisect_left(starts, high, first)
        if last == len(starts) or starts[last] != high:
            writers, readers = states[last - 1]
            starts.insert(last, high)
            states.insert(last, Accesses(writers, readers[:]))
        return first, last


class BufferMap:
    """The last accesses to each byte of a buffer that is walked through in rectangles.

    The buffer is seen as rows of `pitch` bytes, cut into bands of columns at the ends of all its
    regions' runs; each band has an `IntervalMap` of rows. Without strided regions there is one
    band, and its rows are bytes.
    """

    __slots__ = ("_anchor", "_bands", "_edges", "_pitch")

    def __init__(self, regions: Iterable[Region]) -> None:
        """`regions` are all that will ever be asked for."""
        regions = list(regions)
        pitches = Counter(r.pitch for r in regions if not r.contiguous)
        # Of regions with another pitch only the interval around them is looked at.
        self._pitch = max(pitches, key=lambda p: (pitches[p], p)) if pitches else 1
        self._anchor = min((r.low for r in regions if not r.contiguous), default=0)
        edges = {0, self._pitch}
        if pitches:
            for rectangle in (r for region in regions for r in self._rectangles(region)):
                edges.update(rectangle[:2])
        self._edges = sorted(edges)
        self._bands = [IntervalMap() for _ in self._edges[1:]]

    def read(self, region: Region, task: int, found: set[int]) -> None:
        """Records that `task` reads `region`; adds whom it must wait for to `found`."""
        for band, low, high in self._pieces(region):
            self._bands[band].read(low, high, task, found)

    def write(self, region: Region, task: int, found: set[int]) -> None:
        """Records that `task` writes `region`; adds whom it must wait for to `found`."""
        for band, low, high in self._pieces(region):
            self._bands[band].write(low, high, task, found)

    def inherit(self, other: BufferMap, low: int, high: int) -> None:
        """Takes over `other`'s accesses to bytes ``low .. high - 1``, the same memory."""
        whole = Region("dram", low, high)
        for band, first, last in other._pieces(whole):
            for top, bottom, past in other._bands[band].within(first, last):
                origin = other._anchor + other._edges[band]
                width = other._edges[band + 1] - other._edges[band]
                start = max(low, origin + top * other._pitch)
                end = min(high, origin + (bottom - 1) * other._pitch + width)
                for piece, here, there in self._pieces(Region("dram", start, end)):
                    self._bands[piece].touch(here, there, past)

    def _pieces(self, region: Region) -> Iterator[tuple[int, int, int]]:
        """The bands that a region meets, each with its first row and the row after its last.

        Bytes outside the edges known at the start are rounded outwards, to whole bands.
        """
        if region.low >= region.high:
            return
        if len(self._bands) == 1:
            yield 0, region.low, region.high
            return
        edges = self._edges
        for left, right, top, bottom in self._rectangles(region):
            for band in range(bisect_right(edges, left) - 1, bisect_left(edges, right)):
                yield band, top, bottom

    def _rectangles(self, region: Region) -> Iterator[tuple[int, int, int, int]]:
        """A region as rectangles: first column, end column, first row, end row."""
        pitch = self._pitch
        top, left = divmod(region.low - self._anchor, pitch)
        if not region.contiguous and region.pitch == pitch:
            right = left + region.row_bytes
            yield left, min(right, pitch), top, top + region.rows
            if right > pitch:
                yield 0, right - pitch, top + 1, top + 1 + region.rows
            return
        bottom, right = divmod(region.high - self._anchor, pitch)
        if top == bottom:
            yield left, right, top, top + 1
            return
        if left:
            yield left, pitch, top, top + 1
            top += 1
        if top < bottom:
            yield 0, pitch, top, bottom
        if right:
            yield 0, right, bottom, bottom + 1
