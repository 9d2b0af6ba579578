"""Where in the scratchpad the tiles of a streamed operand are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from ssft.compiler.backends.hw.memory.slots import SlotRequest, padded
from ssft.compiler.backends.hw.scheduling.task import Region, interval
from ssft.compiler.backends.hw.tiles.boxes import Walk


@dataclass(slots=True)
class Place:
    """Where an operand's tile is: byte address, strides, and bytes from first to last element.

    `around`: what commands count as touching instead of these bytes.
    """

    address: int
    strides: tuple[int, ...]
    bytes: int
    walk: Walk
    around: Region | None = None

    @property
    def region(self) -> Region:
        """The bytes from the first to the last element, or what is around them."""
        return self.around or interval("spm", self.address, self.bytes)


class Pieces(Protocol):
    """The slot of an operand."""

    def place(self, walk: Walk) -> tuple[bool, Place]:
        """Where a tile is; True if it has to be filled first."""
        ...


class Ring:
    """Pieces of one size that tiles take in turn."""

    def __init__(self, address: int, request: SlotRequest, element: int) -> None:
        self._address, self._request, self._element = address, request, element
        self._holds: dict[Walk, int] = {}
        self._next = 0

    def place(self, walk: Walk) -> tuple[bool, Place]:
        """The piece that holds a tile, or the next one."""
        holds = self._holds
        fresh = walk not in holds
        if fresh:
            number = self._next % self._request.buffers
            self._next += 1
            for other in [w for w, n in holds.items() if n == number]:
                del holds[other]
            holds[walk] = number
        address = self._address + holds[walk] * self._request.bytes
        return fresh, Place(address, walk.packed, walk.elements * self._element, walk)


class Stack:
    """Room for all tiles of a factor, each of its own size, one after the other."""

    def __init__(self, address: int, element: int) -> None:
        self._next, self._element = address, element
        self._starts: dict[Walk, int] = {}

    def place(self, walk: Walk) -> tuple[bool, Place]:
        """The place of a tile, or the next free one."""
        size = walk.elements * self._element
        fresh = walk not in self._starts
        if fresh:
            self._starts[walk] = self._next
            self._next += padded(size)
        return fresh, Place(self._starts[walk], walk.packed, size, walk)

    @staticmethod
    def bytes(walks: Iterable[Walk], element: int) -> int:
        """The room that these tiles take, each counted once."""
        return sum(padded(walk.elements * element) for walk in dict.fromkeys(walks))


class Whole:
    """A result as a whole, of which tiles are parts."""

    def __init__(self, address: int, whole: Walk, element: int) -> None:
        self._address, self._whole, self._element = address, whole, element

    @property
    def region(self) -> Region:
        """All of its bytes."""
        return interval("spm", self._address, self._whole.elements * self._element)

    def place(self, walk: Walk) -> tuple[bool, Place]:
        """The part that a tile is; never to be filled."""
        strides = self._whole.packed
        start, moved = 0, walk.offset - self._whole.offset
        # Loops by their strides in memory: digits of the distance.
        for loop in sorted(self._whole.active, key=lambda d: -self._whole.strides[d]):
            steps, moved = divmod(moved, self._whole.strides[loop])
            start += steps * strides[loop]
        span = 1 + sum((walk.extents[d] - 1) * strides[d] for d in walk.active)
        address = self._address + start * self._element
        return False, Place(address, strides, span * self._element, walk)


def lies_together(part: Walk, whole: Walk) -> bool:
    """Whether a part of a packed tile is packed as it would be by itself."""
    alone, within = part.packed, whole.packed
    return all(alone[loop] == within[loop] for loop in part.active)


def portions(walk: Walk, count: int) -> Iterator[tuple[int, Walk]]:
    """Cuts a tile into about `count` parts that are packed as it is: where each starts, and it."""
    if count > 1 and walk.active and walk.indexed_loop is None:
        loop = walk.active[0]
        extent, step = walk.extents[loop], walk.packed[loop]
        size = -(-extent // count)
        starts, sizes = [0] * len(walk.extents), list(walk.extents)
        parts = []
        for start in range(0, extent, size):
            starts[loop], sizes[loop] = start, min(size, extent - start)
            parts.append((start * step, walk.cut(starts, sizes)))
        if all(lies_together(part, walk) for _, part in parts):
            yield from parts
            return
    yield 0, walk


def is_nested(walk: Walk) -> bool:
    """Whether a step along each loop is farther than all loops of smaller steps reach."""
    reach = 0
    for loop in sorted(walk.active, key=lambda d: walk.strides[d]):
        if walk.strides[loop] <= reach:
            return False
        reach += (walk.extents[loop] - 1) * walk.strides[loop]
    return True
