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

    def all_written(self, low: int, high: int) -> bool:
        """Whether every part of ``low .. high - 1`` has a writer."""
        first, last = bisect_right(self._starts, low) - 1, bisect_left(self._starts, high)
        return all(state.writers for state in self._states[first:last])

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

    What other buffers did to the memory before is kept apart, by byte: who writes a byte first
    waits for it, and whoever comes later waits for that writer.
    """

    __slots__ = ("_anchor", "_bands", "_edges", "_past", "_pitch", "_returned")

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
        self._past: IntervalMap | None = None
        self._returned = False

    def read(self, region: Region, task: int, found: set[int]) -> None:
        """Records that `task` reads `region`; adds whom it must wait for to `found`."""
        if self._past is not None and not self._written(region):
            for _, _, past in self._past.within(region.low, region.high):
                found.update(past.writers)
        for band, low, high in self._pieces(region):
            self._bands[band].read(low, high, task, found)

    def write(self, region: Region, task: int, found: set[int]) -> None:
        """Records that `task` writes `region`; adds whom it must wait for to `found`."""
        if self._past is not None and not self._written(region):
            for _, _, past in self._past.within(region.low, region.high):
                found.update(past.readers or past.writers)
        for band, low, high in self._pieces(region):
            self._bands[band].write(low, high, task, found)

    def inherit(self, other: BufferMap, low: int, high: int) -> None:
        """Takes over `other`'s accesses to bytes ``low .. high - 1``, the same memory."""
        whole = Region("dram", low, high)
        if any(True for _ in self._accesses(whole)):
            # Back from another buffer: writers are from now on not only this buffer's own.
            self._returned = True
            for start, end, past in other._last_accesses(whole):
                for band, here, there in self._pieces(Region("dram", start, end)):
                    self._bands[band].touch(here, there, past)
            return
        writers: dict[int, None] = {}
        readers: dict[int, None] = {}
        for _, _, past in other._last_accesses(whole):
            writers.update(dict.fromkeys(past.writers))
            readers.update(dict.fromkeys(past.readers or past.writers))
        self._past = self._past or IntervalMap()
        self._past.touch(low, high, Accesses(tuple(writers), list(readers)))

    def _written(self, region: Region) -> bool:
        """Whether this buffer is known to have written all of a region."""
        return not self._returned and all(
            self._bands[band].all_written(low, high) for band, low, high in self._pieces(region)
        )

    def _accesses(self, region: Region) -> Iterator[tuple[int, int, int, Accesses]]:
        """This buffer's own accesses to a region: band, first row, end row."""
        for band, first, last in self._pieces(region):
            for top, bottom, past in self._bands[band].within(first, last):
                yield band, top, bottom, past

    def _last_accesses(self, region: Region) -> Iterator[tuple[int, int, Accesses]]:
        """Accesses to the bytes of a contiguous region, by any buffer, and which bytes they were.

        Of several runs, which have gaps, the bytes are all from the first to the last.
        """
        for band, top, bottom, past in self._accesses(region):
            origin, width = self._anchor + self._edges[band], self._edges[band + 1]
            width -= self._edges[band]
            start = max(region.low, origin + top * self._pitch)
            end = min(region.high, origin + (bottom - 1) * self._pitch + width)
            if start < end:
                yield start, end, past
        if self._past is not None and not self._written(region):
            yield from self._past.within(region.low, region.high)

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
