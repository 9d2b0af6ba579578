"""``losia``: a core of rows x columns of every matrix (LoSiA, arXiv 2507.04487, section 3.2).

``choice.ratio`` of the rows and of the columns of each matrix, each for itself. Which of them is
searched greedily, in three ways, of which the best counts: both sides by themselves; rows first and
then columns by what is in these rows; columns first. The importance of an element is the change of
the loss without it, |w g - (w g)^2 / 2|, times how much that varies from batch to batch, both as
moving averages (the strategies and constants are those of the authors' code). Cores are chosen
again every period: ``reselect``. The paper does so for one layer after the other; here all layers
choose at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.choice import Choice
from ssft.compiler.recipes.parameters import Parameter

IMPORTANCE = "sensitivity"


def choose(parameters: Sequence[Parameter], choice: Choice) -> Mapping[str, Mask]:
    """Chooses the most important core of each matrix that the forward pass multiplies by."""
    return {
        parameter.name: _core(choice.elements(parameter.name, IMPORTANCE), parameter.name, choice)
        for parameter in parameters
        if parameter.is_matrix
    }


def _core(importance: np.ndarray, name: str, choice: Choice) -> Mask:
    importance = importance.astype(np.float64)

    def best(dim: int, within: tuple[int, ...] | None = None) -> tuple[int, ...]:
        part = importance if within is None else np.take(importance, within, axis=1 - dim)
        count = choice.count(importance.shape[dim], choice.ratio_of(name))
        return choice.best(name, dim, part.sum(axis=1 - dim), count)

    rows, columns = best(0), best(1)
    cores = [(rows, columns), (rows, best(1, rows)), (best(0, columns), columns)]
    return Mask(*max(cores, key=lambda core: importance[np.ix_(*core)].sum()))
