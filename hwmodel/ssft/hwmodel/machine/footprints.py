"""Which bytes an access touches, relative to a base address."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


class Footprint:
    """Runs of `run` bytes at regular (`dims`) or listed offsets from a base address.

    All bytes are in ``[low, high)``. `dims` are (extent, stride) pairs, major first, in bytes, with
    positive strides; a footprint without them, and without listed offsets, is one run.
    """

    __slots__ = ("_starts", "dims", "high", "low", "run")

    def __init__(self, dims: Iterable[tuple[int, int]], run: int) -> None:
        low, moving = 0, []
        dims = tuple(dims)
        if any(extent == 0 for extent, _ in dims):
            dims, run = (), 0
        for extent, stride in dims:
            if extent == 1 or stride == 0:
                continue
            if stride < 0:
                low += (extent - 1) * stride
            moving.append((extent, abs(stride)))
        moving.sort(key=lambda dim: dim[1])
        kept: list[tuple[int, int]] = []
        for extent, stride in moving:
            if not kept and stride <= run:
                run += (extent - 1) * stride
            elif kept and stride == kept[-1][0] * kept[-1][1]:
                kept[-1] = (extent * kept[-1][0], kept[-1][1])
            else:
                kept.append((extent, stride))
        self.low, self.run = low, run
        self.dims = tuple(reversed(kept))
        self.high = low + sum((extent - 1) * stride for extent, stride in kept) + run
        self._starts: NDArray[np.int64] | None = None

    @classmethod
    def block(cls, size: int) -> Footprint:
        """`size` adjacent bytes."""
        return cls((), size)

    @classmethod
    def listed(cls, starts: NDArray[np.int64], run: int) -> Footprint:
        """Runs at listed offsets, which need not be sorted."""
        footprint = cls((), run)
        if starts.size:
            footprint._starts = np.unique(starts)
            footprint.low = int(footprint._starts[0])
            footprint.high = int(footprint._starts[-1]) + run
        return footprint

    @property
    def dense(self) -> bool:
        """Whether every byte of ``[low, high)`` is touched."""
        return self.high - self.low == self.run

    def starts(self) -> NDArray[np.int64]:
        """The offsets of all runs, ascending."""
        if self._starts is None:
            starts = np.array([self.low], np.int64)
            for extent, stride in self.dims:
                starts = np.add.outer(starts, np.arange(extent, dtype=np.int64) * stride).ravel()
            self._starts = np.unique(starts)
        return self._starts

    def flag_view(self, flags: NDArray[np.bool_], base: int) -> NDArray[np.bool_]:
        """The flags of all bytes, of an array with a flag a byte (a view, but for listed runs)."""
        if self.dense:
            return flags[base + self.low : base + self.high]
        if not self.dims:
            return flags[(self.starts()[:, None] + base) + np.arange(self.run)]
        extents, strides = zip(*self.dims, strict=True)
        return np.ndarray(
            (*extents, self.run), np.bool_, flags.data, base + self.low, (*strides, 1)
        )


def overlap(first: Footprint, first_base: int, second: Footprint, second_base: int) -> bool:
    """Whether two accesses of the same memory touch a common byte."""
    distance = second_base - first_base
    if first.low >= second.high + distance or second.low + distance >= first.high:
        return False
    if first.dense and second.dense:
        return True
    few, many = first, second
    if first.starts().size > second.starts().size:
        few, many, distance = second, first, -distance
    starts, others = few.starts(), many.starts() + distance
    before = np.searchsorted(others, starts - many.run, side="right")
    after = np.searchsorted(others, starts + few.run, side="left")
    return bool(np.any(before < after))
