"""``paca``: random input channels of every matrix (PaCA, arXiv 2503.01905, section 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ssft.compiler.analysis.linears import INPUT
from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.parameters import Draw, Parameter, mask_dimension


def choose(parameters: Sequence[Parameter], draw: Draw) -> Mapping[str, Mask]:
    """Chooses ``draw.ratio`` of the input channels of each matrix independently."""
    masks = {}
    for parameter in parameters:
        dim = parameter.dimension_used_as(INPUT)
        if dim is not None:
            channels = draw.channels(parameter.name, dim, parameter.dimensions[dim].size)
            masks[parameter.name] = mask_dimension(dim, channels)
    return masks
