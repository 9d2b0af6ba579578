"""Reductions over leading axes: sums in groups of 16, and operations whose order is free."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

GROUP = 16

ORDER_FREE = frozenset(
    {"maximumf", "minimumf", "maxnumf", "minnumf", "addi", "muli", "andi", "ori", "xori"}
    | {"maxsi", "minsi", "maxui", "minui"}
)
"""Operations that give the same result in any order and grouping."""

Binary = Callable[[NDArray, NDArray], NDArray]


def grouped_sum(terms: NDArray, start: NDArray, add: Binary) -> NDArray:
    """Adds ``terms[0], terms[1], ...`` to `start`, as `isa.microprogram` says.

    `terms` is ``[K, ...]``, `start` has the other axes; `add` is the addition of their type.
    """
    missing = -len(terms) % GROUP
    if missing:
        zeros = np.zeros((missing, *terms.shape[1:]), terms.dtype)
        terms = np.concatenate([terms, zeros])
    groups = terms.reshape(-1, GROUP, *terms.shape[1:])
    while groups.shape[1] > 1:
        groups = add(groups[:, 0::2], groups[:, 1::2])
    if add is np.add:
        # An accumulation adds one after the other, where a sum would not.
        shape = np.broadcast_shapes(start.shape, terms.shape[1:])
        chain = np.concatenate(
            [
                np.broadcast_to(start, shape)[None],
                np.broadcast_to(groups[:, 0], (len(groups), *shape)),
            ]
        )
        return np.add.accumulate(chain, axis=0)[-1]
    for group in groups[:, 0]:
        start = add(start, group)
    return start


def fold(terms: NDArray, start: NDArray, combine: Binary) -> NDArray:
    """Combines `start` and ``terms[0], terms[1], ...``, in an order of its own."""
    while len(terms) > 1:
        half = len(terms) // 2
        paired = combine(terms[:half], terms[half : 2 * half])
        terms = np.concatenate([paired, terms[2 * half :]]) if len(terms) % 2 else paired
    return combine(start, terms[0])
