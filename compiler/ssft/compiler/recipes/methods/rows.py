"""``rows``: output channels of every matrix, by head where they are heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ssft.compiler.analysis.linears import OUTPUT
from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.parameters import Draw, Parameter, mask_dimension


def choose(parameters: Sequence[Parameter], draw: Draw) -> Mapping[str, Mask]:
    """Chooses ``draw.ratio`` of the units of the output dimension of each matrix."""
    masks = {}
    for parameter in parameters:
        dim = parameter.dimension_used_as(OUTPUT)
        if dim is not None:
            masks[parameter.name] = mask_dimension(dim, draw.units(parameter.dimensions[dim]))
    return masks
