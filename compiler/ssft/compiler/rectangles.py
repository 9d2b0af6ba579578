"""Sets of elements of a matrix as few disjoint rectangles of rows and columns."""

from __future__ import annotations

import numpy as np

Rectangle = tuple[np.ndarray, np.ndarray]
"""Ascending rows and columns; neither is empty."""


def rectangles(elements: np.ndarray) -> list[Rectangle]:
    """Disjoint rectangles that together are what is true in `elements` [m, n].

    Rows with the same columns form one rectangle, or columns with the same rows, whichever gives
    fewer. The fewest possible is NP-hard to find; unions of a few blocks have few kinds of rows.
    """
    by_rows = _rows_alike(elements)
    by_columns = [(rows, columns) for columns, rows in _rows_alike(elements.T)]
    return by_rows if len(by_rows) <= len(by_columns) else by_columns


def _rows_alike(elements: np.ndarray) -> list[Rectangle]:
    kinds, number = np.unique(elements, axis=0, return_inverse=True)
    return [
        (np.flatnonzero(number.reshape(-1) == kind), np.flatnonzero(columns))
        for kind, columns in enumerate(kinds)
        if columns.any()
    ]
