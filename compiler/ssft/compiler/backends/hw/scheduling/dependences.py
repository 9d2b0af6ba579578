"""Which tasks must wait for which: through the memory that they share, in program order."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence

from ssft.compiler.backends.hw.scheduling.interval_map import BufferMap, IntervalMap
from ssft.compiler.backends.hw.scheduling.task import Region, Task


def dependences(tasks: Sequence[Task]) -> list[list[int]]:
    """The predecessors of each task: tasks before it in program order that it must wait for.

    A task waits for the last writers of what it reads (read after write), and for the last readers
    and writers of what it writes (write after read, write after write). Two tasks with an
    overlapping region that one of them writes are always connected by a path; an edge is left out
    where a path of two others replaces it. Each list is in ascending order.

    Regions of the scratchpad are taken as intervals; see `Region` for those of DRAM.
    """
    scratchpad = IntervalMap()
    dram = _Dram(region for task in tasks for region in (*task.reads, *task.writes))
    predecessors: list[list[int]] = []
    for number, task in enumerate(tasks):
        found: set[int] = set()
        for region in task.reads:
            if region.space == "dram":
                dram.read(region, number, found)
            elif region.low < region.high:
                scratchpad.read(region.low, region.high, number, found)
        for region in task.writes:
            if region.space == "dram":
                dram.write(region, number, found)
            elif region.low < region.high:
                scratchpad.write(region.low, region.high, number, found)
        found.discard(number)
        predecessors.append(_reduced(found, predecessors))
    return predecessors


_FEW = 64
"""So many predecessors are looked through for edges that others imply."""


def _reduced(found: set[int], predecessors: list[list[int]]) -> list[int]:
    """`found` in ascending order without those that another of them has waited for itself."""
    if len(found) > 1:
        for number in sorted(found, reverse=True)[:_FEW]:
            found.difference_update(predecessors[number])
    return sorted(found)


class _Dram:
    """The last accesses to DRAM, kept by buffer.

    Where buffers share memory at different times, the one that is accessed takes over what others
    have done there since.
    """

    def __init__(self, regions: Iterable[Region]) -> None:
        """`regions` are all that will ever be asked for."""
        by_buffer: defaultdict[int, set[Region]] = defaultdict(set)
        for region in regions:
            if region.space == "dram" and region.low < region.high:
                by_buffer[region.buffer].add(region)
        self._buffers = {buffer: BufferMap(found) for buffer, found in by_buffer.items()}
        self._shared = _sharing(by_buffer)
        self._starts: list[int] = [0]
        self._owners: list[int | None] = [None]

    def read(self, region: Region, task: int, found: set[int]) -> None:
        """Records that `task` reads `region`; adds whom it must wait for to `found`."""
        if region.low < region.high:
            self._buffer(region).read(region, task, found)

    def write(self, region: Region, task: int, found: set[int]) -> None:
        """Records that `task` writes `region`; adds whom it must wait for to `found`."""
        if region.low < region.high:
            self._buffer(region).write(region, task, found)

    def _buffer(self, region: Region) -> BufferMap:
        """The map of a region's buffer, with all that is known of the region's memory."""
        own = self._buffers[region.buffer]
        if region.buffer in self._shared:
            for low, high, owner in self._take(region):
                own.inherit(self._buffers[owner], low, high)
        return own

    def _take(self, region: Region) -> list[tuple[int, int, int]]:
        """Makes a region's buffer the owner of its bytes.

        Returns the pieces that belonged to others: first byte, end, buffer.
        """
        starts, owners = self._starts, self._owners
        low, high, buffer = region.low, region.high, region.buffer
        first, last = bisect_right(starts, low) - 1, bisect_left(starts, high)
        if last == first + 1 and owners[first] == buffer:
            return []
        ends = [*starts[first + 1 : last], high]
        others = [
            (max(low, start), end, owner)
            for start, end, owner in zip(starts[first:last], ends, owners[first:last], strict=True)
            if owner is not None and owner != buffer
        ]
        before, after = owners[first], owners[last - 1]
        new_starts: list[int] = [low]
        new_owners: list[int | None] = [buffer]
        if starts[first] < low:
            new_starts.insert(0, starts[first])
            new_owners.insert(0, before)
        if last == len(starts) or starts[last] > high:
            new_starts.append(high)
            new_owners.append(after)
        starts[first:last], owners[first:last] = new_starts, new_owners
        return others


def _sharing(by_buffer: dict[int, set[Region]]) -> set[int]:
    """The buffers whose bytes, taken as one interval each, overlap another buffer's."""
    hulls = sorted(
        (min(r.low for r in regions), max(r.high for r in regions), buffer)
        for buffer, regions in by_buffer.items()
    )
    found: set[int] = set()
    end, last = -1, -1
    for low, high, buffer in hulls:
        if low < end:
            found |= {buffer, last}
        if high > end:
            end, last = high, buffer
    return found
