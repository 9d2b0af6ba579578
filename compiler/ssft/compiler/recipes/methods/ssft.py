"""``ssft``: rows and columns in which important gradients cluster (SSFT-Alg, DAC 2025).

The squares of gradients are accumulated over several batches, so that signs do not cancel (another
importance can be named). The elements with the largest, ``choice.ratio`` of
all, are an unstructured pre-mask; the rows and the columns that have most of them train, half of
the ratio each, so that about as many elements train as the pre-mask has. That rows and columns are
joined (``union``) rather than crossed follows from the paper's account of its hardware, where each
row or column yields a complete result; it is not stated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.choice import Choice
from ssft.compiler.recipes.parameters import Parameter

IMPORTANCE = "fisher"


def choose(parameters: Sequence[Parameter], choice: Choice) -> Mapping[str, Mask]:
    """Chooses rows and columns of each matrix that the forward pass multiplies by."""
    return {
        parameter.name: _mask(choice.elements(parameter.name, IMPORTANCE), parameter.name, choice)
        for parameter in parameters
        if parameter.is_matrix
    }


def _mask(importance: np.ndarray, name: str, choice: Choice) -> Mask:
    ratio = choice.ratio_of(name)
    marked = pre_mask(importance, ratio)
    # Crossed, as many elements as the ratio says are in its square root of rows and columns.
    share = ratio / 2 if choice.combine == "union" else ratio**0.5
    sides = [
        choice.best(name, dim, marked.sum(axis=1 - dim), choice.count(marked.shape[dim], share))
        for dim in range(2)
    ]
    return Mask(*sides, combine=choice.combine)


def pre_mask(importance: np.ndarray, ratio: float) -> np.ndarray:
    """The elements of `importance` [m, n] that are among its largest, `ratio` of all; bool."""
    kept = round(ratio * importance.size)
    if kept == 0:
        return np.zeros(importance.shape, dtype=bool)
    marked = np.zeros(importance.size, dtype=bool)
    marked[np.argpartition(-importance, kept - 1, axis=None)[:kept]] = True
    return marked.reshape(importance.shape)
