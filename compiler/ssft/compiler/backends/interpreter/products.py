"""Multiply-accumulate loops: ``c[b, m, n] += sum over k of a[k, b, m] * b[k, b, n]``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ssft.compiler.backends.interpreter.formats import GROUP

BLOCK = 8192
"""Elements of the result that are worked on at a time: 16 products of each stay in the cache."""


def plain_product(a: np.ndarray, b: np.ndarray, initial: np.ndarray) -> np.ndarray:
    """NumPy's product of `a` ``[K, B, M]`` and `b` ``[K, B, N]``, plus `initial` ``[B, M, N]``."""
    return np.matmul(a.transpose(1, 2, 0), b.transpose(1, 0, 2)) + initial


def ordered_product(a: np.ndarray, b: np.ndarray, initial: np.ndarray) -> np.ndarray:
    """The same in the accelerator's order: 16 products as a tree, groups one after the other.

    Products and sums are in the arrays' type.
    """
    if a.shape[2] > b.shape[2]:  # the inner loop is long
        return ordered_product(b, a, initial.swapaxes(1, 2)).swapaxes(1, 2)
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    result = np.empty(initial.shape, initial.dtype)
    buffer = np.empty(GROUP * BLOCK, initial.dtype)
    for batch, rows, columns in _blocks(*initial.shape):
        total = np.array(initial[batch, rows, columns], order="C")
        left, right = a[:, batch, rows, np.newaxis], b[:, batch, np.newaxis, columns]
        for start in range(0, len(a), GROUP):
            size = min(GROUP, len(a) - start)
            products = buffer[: size * total.size].reshape(size, *total.shape)
            np.multiply(left[start : start + size], right[start : start + size], out=products)
            total += _tree(products)
        result[batch, rows, columns] = total
    return result


def _tree(terms: np.ndarray) -> np.ndarray:
    """Adds up to 16 terms as a tree, neighbours first, as if there were 16 with zeros behind."""
    full = len(terms) == GROUP
    while len(terms) > 1:
        pairs = terms[0:-1:2] + terms[1::2]
        if len(terms) % 2:
            pairs = np.concatenate([pairs, terms[-1:] + 0])
        terms = pairs
    return terms[0] if full else terms[0] + 0  # -0 plus a zero is +0


def _blocks(batches: int, rows: int, columns: int) -> Iterator[tuple[slice, slice, slice]]:
    n = min(columns, BLOCK)
    m = min(rows, max(1, BLOCK // max(1, n)))
    b = max(1, BLOCK // max(1, m * n))
    for batch in range(0, batches, b):
        for row in range(0, rows, m):
            for column in range(0, columns, n):
                yield (
                    slice(batch, batch + b),
                    slice(row, row + m),
                    slice(column, column + n),
                )
