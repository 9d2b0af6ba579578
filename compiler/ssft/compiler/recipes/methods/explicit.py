"""``explicit``: nothing trains but what ``masks`` and ``train`` of the recipe name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.parameters import Draw, Parameter


def choose(parameters: Sequence[Parameter], draw: Draw) -> Mapping[str, Mask]:
    """Chooses nothing."""
    return {}
