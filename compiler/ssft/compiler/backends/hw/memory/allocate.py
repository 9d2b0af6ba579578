"""Addresses for buffers that are live for a while: offline memory allocation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 64
"""Bytes; the widest burst of DRAM."""

Integers = NDArray[np.int64]


class Lifetime(NamedTuple):
    """A buffer of `bytes` bytes that is in use at times `first` to `last`, both inclusive."""

    bytes: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Allocation:
    """`offsets` of the buffers in bytes, in the order given.

    `peak` is the highest end of a buffer. `lower_bound` is the largest sum of bytes live at a time
    (each rounded up to the alignment), below which no assignment can get.
    """

    offsets: list[int]
    peak: int
    lower_bound: int


class AllocationError(Exception):
    """Buffers do not fit.

    `needed` is the peak of the best assignment found, or the lower bound where that exceeds the
    capacity already. `live` are the buffers, by number, of the time `time` with the most live
    bytes, largest first.
    """

    def __init__(self, capacity: int, needed: int, time: int, live: tuple[int, ...]) -> None:
        super().__init__(f"buffers need {needed} bytes of {capacity}; most are live at time {time}")
        self.capacity, self.needed, self.time, self.live = capacity, needed, time, live


def allocate(
    buffers: Sequence[Lifetime],
    capacity: int | None = None,
    alignment: int = ALIGNMENT,
    effort: int = 20_000,
    seed: int = 0,
) -> Allocation:
    """Gives each buffer an offset so that no two that are live at a time overlap.

    First greedily in several orders, best fit by decreasing size (Pisarchyk & Lee 2020, "Efficient
    Memory Management for Deep Neural Net Inference") among them. While the lower bound is not
    reached, hill climbing then changes the order: a buffer that makes the peak goes before one that
    is in its way. `effort` is the number of placements that this may try; the result depends on
    nothing but the arguments.

    Raises AllocationError if the buffers do not fit in `capacity` bytes.
    """
    if not buffers:
        return Allocation([], 0, 0)
    table = np.array(buffers, dtype=np.int64).reshape(-1, 3)
    sizes = -(-np.maximum(table[:, 0], 1) // alignment) * alignment
    first, last = table[:, 1], table[:, 2]
    bound, time = _most_live(sizes, first, last)
    if capacity is not None and bound > capacity:
        raise AllocationError(capacity, bound, time, _live(sizes, first, last, time))
    placer = _Placer(sizes, first, last)
    peak, order = min((placer.place_all(order), order) for order in _orders(sizes, first, last))
    peak, offsets = placer.improve(order, bound, effort, Random(seed))
    if capacity is not None and peak > capacity:
        raise AllocationError(capacity, peak, time, _live(sizes, first, last, time))
    return Allocation(offsets.tolist(), peak, bound)


def _most_live(sizes: Integers, first: Integers, last: Integers) -> tuple[int, int]:
    """The largest sum of live bytes, and the first time at which it is reached."""
    times = np.concatenate([first, last + 1])
    change = np.concatenate([sizes, -sizes])
    # At equal times buffers end before others begin.
    order = np.lexsort((change, times))
    live = np.cumsum(change[order])
    at = int(live.argmax())
    return int(live[at]), int(times[order][at])


def _live(sizes: Integers, first: Integers, last: Integers, time: int) -> tuple[int, ...]:
    """The numbers of the buffers live at `time`, largest first."""
    (live,) = np.nonzero((first <= time) & (last >= time))
    return tuple(sorted(live.tolist(), key=lambda i: (-sizes[i], i)))


def _orders(sizes: Integers, first: Integers, last: Integers) -> Iterable[list[int]]:
    """Orders that are good for some inputs: by size, by area, by duration, by time."""
    duration = last - first + 1
    for keys in (
        (first, -duration, -sizes),
        (first, -sizes * duration),
        (first, -sizes, -duration),
        (-sizes, first),
    ):
        yield np.lexsort(keys).tolist()


class _Placer:
    """Places buffers one after the other, each in the smallest gap that holds it."""

    def __init__(self, sizes: Integers, first: Integers, last: Integers) -> None:
        self._sizes = sizes
        self._neighbours = [
            np.nonzero((first <= end) & (last >= start))[0].astype(np.int32)
            for start, end in zip(first.tolist(), last.tolist(), strict=True)
        ]
        self._offsets = np.full(len(sizes), -1, dtype=np.int64)

    def place_all(self, order: Sequence[int]) -> int:
        """Places all buffers in this order; returns the peak."""
        self._offsets[:] = -1
        return self._place(order)

    def improve(
        self, order: list[int], bound: int, effort: int, random: Random
    ) -> tuple[int, Integers]:
        """Climbs from an order to better ones; returns the peak and the offsets."""
        peak = self.place_all(order)
        best = self._offsets.copy()
        while peak > bound and effort > 0:
            start, candidate = self._neighbour(order, peak, random)
            self._offsets[candidate[start:]] = -1
            effort -= len(order) - start
            reached = self._place(candidate[start:])
            # A step to the side may open the way down.
            if max(reached, self._peak()) <= peak:
                peak, order, best = self._peak(), candidate, self._offsets.copy()
            else:
                self._offsets[:] = best
        return peak, best

    def _neighbour(self, order: list[int], peak: int, random: Random) -> tuple[int, list[int]]:
        """An order in which a buffer that makes the peak goes earlier, and where it differs."""
        top = random.choice(np.nonzero(self._offsets + self._sizes == peak)[0].tolist())
        position = {buffer: place for place, buffer in enumerate(order)}
        around = [position[b] for b in self._neighbours[top].tolist()]
        earlier = [place for place in around if place < position[top]]
        here = position[top]
        there = random.choice(earlier) if earlier else random.randrange(len(order))
        if random.random() < 0.5:
            moved = order.copy()
            moved[here], moved[there] = moved[there], moved[here]
        else:
            moved = order[:here] + order[here + 1 :]
            moved.insert(there, top)
        return min(here, there), moved

    def _peak(self) -> int:
        return int((self._offsets + self._sizes).max())

    def _place(self, order: Sequence[int]) -> int:
        """Places further buffers; returns the highest of their ends."""
        offsets, sizes, peak = self._offsets, self._sizes, 0
        for buffer in order:
            size = int(sizes[buffer])
            around = self._neighbours[buffer]
            starts = offsets[around]
            placed = starts >= 0
            starts = starts[placed]
            offset = 0
            if len(starts):
                ends = starts + sizes[around[placed]]
                ascending = starts.argsort()
                starts = starts[ascending]
                ends = np.maximum.accumulate(ends[ascending])
                offset = _best_fit(starts, ends, size)
            offsets[buffer] = offset
            peak = max(peak, offset + size)
        return peak


def _best_fit(starts: Integers, ends: Integers, size: int) -> int:
    """The start of the smallest gap of at least `size`; behind everything if there is none."""
    gaps = starts.copy()
    gaps[1:] -= ends[:-1]
    (fitting,) = np.nonzero(gaps >= size)
    if not len(fitting):
        return int(ends[-1])
    gap = int(fitting[gaps[fitting].argmin()])
    return int(ends[gap - 1]) if gap else 0
