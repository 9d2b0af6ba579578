"""``columns``: input channels of every matrix, by head where they are heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ssft.compiler.analysis.linears import INPUT
from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.choice import Choice
from ssft.compiler.recipes.parameters import Parameter
from ssft.compiler.recipes.sides import choose_side


def choose(parameters: Sequence[Parameter], choice: Choice) -> Mapping[str, Mask]:
    """Chooses ``choice.ratio`` of the units of the input dimension of each matrix."""
    return choose_side(parameters, choice, INPUT)
