"""``block``: rows x columns of every matrix (the core of LoSiA, arXiv 2507.04487)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.choice import Candidate, Choice
from ssft.compiler.recipes.parameters import Parameter


def choose(parameters: Sequence[Parameter], choice: Choice) -> Mapping[str, Mask]:
    """Chooses ``choice.ratio`` of each side of each matrix that the forward pass multiplies by."""
    matrices = [parameter for parameter in parameters if parameter.is_matrix]
    chosen = choice.units([Candidate(p, dim) for p in matrices for dim in range(2)])
    return {
        parameter.name: Mask(rows=rows, columns=columns)
        for parameter, rows, columns in zip(matrices, chosen[::2], chosen[1::2], strict=True)
    }
