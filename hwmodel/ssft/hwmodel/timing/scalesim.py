"""What SCALE-Sim v3 reports for a matrix product, as closed forms.

SCALE-Sim's compute cycles (CALC mode, no stalls) are exactly these. They are a cross-check, not a
model: its weight-stationary array has one bank of weights and waits for every tile, and its
output-stationary one neither overlaps folds nor counts the time in which results leave.
`m`, `n`, `k` are the extents of ``[m, k] [k, n]``, `rows` and `columns` those of the array.
"""

from __future__ import annotations


def output_stationary_cycles(rows: int, columns: int, m: int, n: int, k: int) -> int:
    """Cycles with the output-stationary dataflow: F (K + R + C - 2) - 1."""
    folds = -(-m // rows) * -(-n // columns)
    return folds * (k + rows + columns - 2) - 1


def weight_stationary_cycles(rows: int, columns: int, m: int, n: int, k: int) -> int:
    """Cycles with the weight-stationary dataflow: F (R + M + R + C - 2) - 1."""
    folds = -(-k // rows) * -(-n // columns)
    return folds * (2 * rows + m + columns - 2) - 1
