"""``heads``: like ``s2ft``, but only where the internal axis is made of heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ssft.compiler.analysis.linears import INPUT
from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.choice import Choice
from ssft.compiler.recipes.methods import s2ft
from ssft.compiler.recipes.parameters import Parameter


def choose(parameters: Sequence[Parameter], choice: Choice) -> Mapping[str, Mask]:
    """Chooses ``choice.ratio`` of the heads of every internal head axis."""
    with_heads = [
        parameter
        for parameter in parameters
        if any(len(s) > 1 for d in parameter.dimensions for s in d.segments if INPUT in d.uses)
    ]
    return s2ft.choose(with_heads, choice)
