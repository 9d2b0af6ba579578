"""Sums in the accelerator's order: groups of 16 terms as balanced trees, then one after the other.

The last group is filled up with +0. Every addition rounds to the element type.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ssft.compiler.backends.interpreter.formats import GROUP, to_bf16


def ordered_sum(terms: np.ndarray, initial: np.ndarray, element: str) -> np.ndarray:
    """`initial` plus all ``terms[r]``, in ascending order of r, in groups.

    `terms` is ``[count, ...]`` and `initial` ``[...]``; both hold values of type `element`.
    """
    whole = len(terms) // GROUP * GROUP
    groups = terms[:whole].reshape(-1, GROUP, *terms.shape[1:])
    sums = [_tree(groups, element)] if whole else []
    if whole < len(terms):
        rest = np.zeros((1, GROUP, *terms.shape[1:]), terms.dtype)
        rest[0, : len(terms) - whole] = terms[whole:]
        sums.append(_tree(rest, element))
    running = np.concatenate([initial[np.newaxis], *sums])
    if element != "bf16":
        # Each element of the running sum is the previous one plus a term, by definition.
        return np.add.accumulate(running, axis=0, dtype=running.dtype)[-1]
    total = running[0]
    for term in running[1:]:
        total = to_bf16(total + term)
    return total


def _tree(groups: np.ndarray, element: str) -> np.ndarray:
    """``[count, GROUP, ...]`` to ``[count, ...]``: neighbours are added first."""
    while groups.shape[1] > 1:
        groups = groups[:, 0::2] + groups[:, 1::2]
        if element == "bf16":
            groups = to_bf16(groups)
    return groups[:, 0]


def plain_sum(terms: np.ndarray, initial: np.ndarray, element: str) -> Any:
    """As `ordered_sum`, in NumPy's order; types of less than 32 bits are added in f32."""
    wide = np.float32 if element in ("bf16", "f16") else terms.dtype
    return np.add.reduce(terms, axis=0, dtype=wide) + initial
