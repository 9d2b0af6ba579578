"""Exact sums of what commands do."""

from __future__ import annotations

import numpy as np


def sums_by(values: np.ndarray, keys: np.ndarray, size: int) -> list[int]:
    """The sum of the values of each key 0 to ``size - 1``, as integers.

    `np.bincount` would add in f64, which is exact to 2**53 only.
    """
    sums = np.zeros(size, dtype=np.int64)
    np.add.at(sums, keys, values)
    return sums.tolist()


def covered_length(begin: np.ndarray, end: np.ndarray) -> int:
    """Total length of the union of intervals."""
    order = np.argsort(begin, kind="stable")
    begin, end = begin[order], np.maximum.accumulate(end[order])
    before = np.concatenate(([0], end[:-1])) if len(end) else end
    return int(np.maximum(end - np.maximum(begin, before), 0).sum())
