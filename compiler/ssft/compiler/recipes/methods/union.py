"""``union``: rows and columns of every matrix (the mask shape of SSFT, DAC 2025)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.choice import Choice
from ssft.compiler.recipes.methods import block
from ssft.compiler.recipes.parameters import Parameter


def choose(parameters: Sequence[Parameter], choice: Choice) -> Mapping[str, Mask]:
    """Chooses ``choice.ratio`` of the rows and of the columns; an element trains if either does."""
    return {
        name: replace(mask, combine="union")
        for name, mask in block.choose(parameters, choice).items()
    }
