"""Cycles of systolic arrays, equal to the register-transfer models in hwmodel/rtl.

An array has R rows and C columns of multiply-accumulators and works on tiles without gaps. Cycles
count from the first weight or operand that enters to the last result that leaves.
"""

from __future__ import annotations

from functools import lru_cache


def _up(value: int, step: int) -> int:
    return -(-value // step)


def weight_stationary_cycles(rows: int, columns: int, tiles: int, m: int) -> int:
    """Cycles in which an array with two banks of weights per cell computes `tiles` tiles.

    A tile multiplies ``[m, rows]`` activations, which stream through, by ``[rows, columns]``
    weights, which stay. While one bank computes, the other is written, a row per cycle, so a tile
    can follow another after ``max(m, columns, rows)`` cycles: `m` to stream, `columns` because a
    bank is free only when the last column has finished with it, `rows` to write it.
    """
    interval = max(m, columns, rows)
    return rows + (tiles - 1) * interval + m + rows + columns - 2 if tiles else 0


def output_stationary_cycles(rows: int, columns: int, folds: int, k: int) -> int:
    """Cycles in which an array whose cells keep their sums computes `folds` blocks of results.

    A fold multiplies ``[rows, k]`` by ``[k, columns]``. Finished sums move to a second register and
    down the column to its end while the next fold computes, so a fold can follow another after
    ``max(k, rows)`` cycles. The last fold's sums still have to leave: `rows` - 1 cycles after the
    last one is done.
    """
    interval = max(k, rows)
    return (folds - 1) * interval + k + 2 * rows + columns - 3 if folds else 0


@lru_cache(maxsize=1 << 16)
def weight_stationary_gemm(rows: int, columns: int, batch: int, m: int, n: int, k: int) -> int:
    """Cycles of `batch` products ``[m, k] [k, n]``: a tile for each [rows, columns] of ``[k, n]``.

    The sums of the tiles along k are added up in the accumulators behind the array.
    """
    tiles = batch * _up(k, rows) * _up(n, columns)
    return weight_stationary_cycles(rows, columns, tiles, m) if m else 0


@lru_cache(maxsize=1 << 16)
def output_stationary_gemm(rows: int, columns: int, batch: int, m: int, n: int, k: int) -> int:
    """Cycles of `batch` products ``[m, k] [k, n]``: a fold for each [rows, columns] of results."""
    folds = batch * _up(m, rows) * _up(n, columns)
    return output_stationary_cycles(rows, columns, folds, k) if k else 0
