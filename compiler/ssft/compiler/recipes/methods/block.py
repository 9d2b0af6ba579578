"""``block``: random rows x random columns of every matrix (the core of LoSiA, arXiv 2507.04487)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.parameters import Draw, Parameter


def choose(parameters: Sequence[Parameter], draw: Draw) -> Mapping[str, Mask]:
    """Chooses ``draw.ratio`` of each side of each matrix that the forward pass multiplies by."""
    return {
        parameter.name: Mask(
            rows=draw.units(parameter.dimensions[0]), columns=draw.units(parameter.dimensions[1])
        )
        for parameter in parameters
        if len(parameter.dimensions) == 2 and all(d.uses for d in parameter.dimensions)
    }
