"""Choosing along one side of matrices: what several methods share."""

from __future__ import annotations

from collections.abc import Sequence

from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.choice import Candidate, Choice
from ssft.compiler.recipes.parameters import Parameter, mask_dimension


def sides(parameters: Sequence[Parameter], use: str) -> list[Candidate]:
    """The dimension of each matrix that the forward pass uses as `use` and as nothing else."""
    found = ((parameter, parameter.dimension_used_as(use)) for parameter in parameters)
    return [Candidate(parameter, dim) for parameter, dim in found if dim is not None]


def choose_side(parameters: Sequence[Parameter], choice: Choice, use: str) -> dict[str, Mask]:
    """Masks of whole units of that dimension of each matrix."""
    return masks_of(sides(parameters, use), choice)


def masks_of(candidates: Sequence[Candidate], choice: Choice) -> dict[str, Mask]:
    """Masks of whole units of each candidate."""
    return {
        parameter.name: mask_dimension(dim, indices)
        for (parameter, dim), indices in zip(candidates, choice.units(candidates), strict=True)
    }
