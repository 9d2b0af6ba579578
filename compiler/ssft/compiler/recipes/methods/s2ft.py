"""``s2ft``: input channels of matrices whose input axis is internal (S2FT, arXiv 2412.06289, 3.2).

An axis is internal if other matrices produce it and only this one consumes it: the channels
between an FFN's up and down projection, the heads between attention's value and output projection.
Chosen by head where the axis is heads x head size. Where the axis is free, co-permutation makes the
chosen columns one contiguous slice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ssft.compiler.analysis.linears import INPUT
from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.parameters import Draw, Parameter, mask_dimension


def choose(parameters: Sequence[Parameter], draw: Draw) -> Mapping[str, Mask]:
    """Chooses ``draw.ratio`` of the units of every internal input axis."""
    masks = {}
    for parameter in parameters:
        dim = parameter.dimension_used_as(INPUT)
        if dim is None:
            continue
        dimension = parameter.dimensions[dim]
        others = dimension.produced_by - {parameter.name}
        if others and dimension.consumed_by == {parameter.name}:
            masks[parameter.name] = mask_dimension(dim, draw.units(dimension))
    return masks
