"""``bias``: vectors that are only added, e.g. biases (BitFit, arXiv 2106.10199)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.choice import Choice
from ssft.compiler.recipes.parameters import FULL, Parameter


def choose(parameters: Sequence[Parameter], choice: Choice) -> Mapping[str, Mask]:
    """Trains every bias entirely; ``choice.ratio`` is not used."""
    return {parameter.name: FULL for parameter in parameters if parameter.is_bias}
