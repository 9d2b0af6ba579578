"""``smt``: blocks of all matrices with the largest gradients (SMT, arXiv 2405.15525, section 3).

Every matrix is cut into blocks of ``choice.block``, 256x256 unless another size is given, those at
its ends being smaller. The score of a block is the mean of its elements' importance: by default the
size of the gradient, summed over the batches that the model is measured with. Blocks of all
matrices compete, and the best train, ``choice.ratio`` of all elements; a matrix with a ratio of 0
takes no part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.blocks import block_sums, mask_of_blocks
from ssft.compiler.recipes.choice import Choice
from ssft.compiler.recipes.parameters import Parameter

IMPORTANCE = "gradient"


def choose(parameters: Sequence[Parameter], choice: Choice) -> Mapping[str, Mask]:
    """Chooses the best blocks of all matrices that the forward pass multiplies by."""
    matrices = [p for p in parameters if p.is_matrix and choice.ratio_of(p.name) > 0]
    scores, sizes = [], []
    for parameter in matrices:
        importance = choice.elements(parameter.name, IMPORTANCE)
        size = block_sums(np.ones(parameter.shape), choice.block)
        score = block_sums(importance.astype(np.float64), choice.block) / size
        avoided = block_sums(_avoided(parameter, choice), choice.block) > 0
        scores.append(np.where(avoided, -np.inf, score))
        sizes.append(size)
    if not matrices:
        return {}
    budget = sum(choice.ratio_of(p.name) * p.elements for p in matrices)
    chosen = _best(np.concatenate([s.ravel() for s in scores]),
                   np.concatenate([s.ravel() for s in sizes]), budget)  # fmt: skip
    ends = np.cumsum([score.size for score in scores])[:-1]
    return {
        parameter.name: mask_of_blocks(part.reshape(score.shape), choice.block, parameter.shape)
        for parameter, score, part in zip(matrices, scores, np.split(chosen, ends), strict=True)
    }


def _best(scores: np.ndarray, sizes: np.ndarray, budget: float) -> np.ndarray:
    """Which blocks train: the best, as many as fit into `budget` elements, but at least one."""
    order = np.argsort(-scores, kind="stable")
    order = order[np.isfinite(scores[order])]
    count = max(1, int(np.searchsorted(np.cumsum(sizes[order]), budget + 0.5)))
    chosen = np.zeros(scores.shape, bool)
    chosen[order[:count]] = True
    return chosen


def _avoided(parameter: Parameter, choice: Choice) -> np.ndarray:
    """1 for elements that may not train, else 0."""
    found = np.zeros(parameter.shape)
    mask = choice.avoid.get(parameter.name, Mask((), ()))
    found[list(mask.rows or ())] = 1
    found[:, list(mask.columns or ())] = 1
    return found
