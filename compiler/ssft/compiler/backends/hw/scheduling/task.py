"""Tasks: commands that are not scheduled yet, and the bytes that they touch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ssft.hwmodel.isa import Command, Queue

Space = Literal["spm", "dram"]


class Region(NamedTuple):
    """Bytes of one address space: `rows` runs of `row_bytes`, `pitch` bytes apart.

    All bytes lie in ``low .. high - 1``. A region is empty where ``low == high``. With `rows` = 1
    (`row_bytes` and `pitch` are then not looked at) it is that whole interval. Runs do not overlap:
    ``row_bytes <= pitch``.

    `buffer` is the number of the buffer that the bytes belong to. It is a hint: regions of a buffer
    with one pitch are told apart exactly, and overlapping regions of different buffers, which is
    memory that is used again, as intervals.
    """

    space: Space
    low: int
    high: int
    rows: int = 1
    row_bytes: int = 0
    pitch: int = 0
    buffer: int = 0

    @property
    def contiguous(self) -> bool:
        """Whether the region is all of ``low .. high - 1``."""
        return self.rows == 1 or self.row_bytes == self.pitch


@dataclass(slots=True)
class Task:
    """A command without semaphores, before it has a place in its queue.

    `duration` is the estimated number of cycles for which it keeps its unit busy. `kernel` is the
    number of the kernel it is part of. Regions are bytes that may be read or written; bytes that a
    command both reads and writes are in both lists.
    """

    command: Command
    queue: Queue
    duration: int
    reads: list[Region] = field(default_factory=list)
    writes: list[Region] = field(default_factory=list)
    kernel: int = 0


def interval(space: Space, low: int, size: int, buffer: int = 0) -> Region:
    """The region of `size` consecutive bytes from `low` on."""
    return Region(space, low, low + size, 1, size, size, buffer)


def strided(
    space: Space, base: int, rows: int, row_bytes: int, pitch: int, buffer: int = 0
) -> Region:
    """The region of `rows` runs of `row_bytes`, the first at `base`, `pitch` bytes apart.

    Runs that overlap (``pitch < row_bytes``) become the interval around them.
    """
    if rows <= 0 or row_bytes <= 0:
        return interval(space, base, 0, buffer)
    size = (rows - 1) * pitch + row_bytes
    if rows == 1 or pitch <= row_bytes:
        return interval(space, base, size, buffer)
    return Region(space, base, base + size, rows, row_bytes, pitch, buffer)


def overlaps(one: Region, other: Region) -> bool:
    """Whether two regions may share a byte.

    Exact for regions of one pitch and wherever one of them is contiguous; for two strided regions
    of different pitches the answer is that of the intervals around them.
    """
    if one.space != other.space or one.low >= other.high or other.low >= one.high:
        return False
    if one.low == one.high or other.low == other.high:
        return False
    if one.contiguous and other.contiguous:
        return True
    if one.contiguous:
        return _interval_meets_rows(one.low, one.high, other)
    if other.contiguous:
        return _interval_meets_rows(other.low, other.high, one)
    if one.pitch != other.pitch:
        return True
    return _rows_meet(one, other)


def _interval_meets_rows(low: int, high: int, region: Region) -> bool:
    """Whether ``low .. high - 1`` holds a byte of a strided region."""
    first = max(0, (low - region.low - region.row_bytes) // region.pitch + 1)
    return first < region.rows and region.low + first * region.pitch < high


def _rows_meet(one: Region, other: Region) -> bool:
    """Whether two strided regions of one pitch share a byte."""
    down, across = divmod(other.low - one.low, one.pitch)
    beside = across < one.row_bytes and -other.rows < down < one.rows
    # The end of each of the other's runs may lie in the following period.
    wrapped = across + other.row_bytes > one.pitch and -other.rows < down + 1 < one.rows
    return beside or wrapped
