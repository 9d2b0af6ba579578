"""``explicit``: nothing trains but what ``masks`` and ``train`` of the recipe name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.choice import Choice
from ssft.compiler.recipes.parameters import Parameter


def choose(parameters: Sequence[Parameter], choice: Choice) -> Mapping[str, Mask]:
    """Chooses nothing."""
    return {}
