"""``full``: every parameter trains entirely (dense fine-tuning)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.choice import Choice
from ssft.compiler.recipes.parameters import FULL, Parameter


def choose(parameters: Sequence[Parameter], choice: Choice) -> Mapping[str, Mask]:
    """Masks nothing."""
    return {parameter.name: FULL for parameter in parameters}
