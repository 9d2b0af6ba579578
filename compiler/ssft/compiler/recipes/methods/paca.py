"""``paca``: input channels of every matrix, each for itself (PaCA, arXiv 2503.01905, section 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ssft.compiler.analysis.linears import INPUT
from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.choice import Choice
from ssft.compiler.recipes.parameters import Parameter, mask_dimension
from ssft.compiler.recipes.sides import sides


def choose(parameters: Sequence[Parameter], choice: Choice) -> Mapping[str, Mask]:
    """Chooses ``choice.ratio`` of the input channels of each matrix independently."""
    return {
        side.parameter.name: mask_dimension(side.dim, choice.channels(side))
        for side in sides(parameters, INPUT)
    }
