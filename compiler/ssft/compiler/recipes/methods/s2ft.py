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
from ssft.compiler.recipes.choice import Candidate, Choice
from ssft.compiler.recipes.parameters import Parameter
from ssft.compiler.recipes.sides import masks_of, sides


def choose(parameters: Sequence[Parameter], choice: Choice) -> Mapping[str, Mask]:
    """Chooses ``choice.ratio`` of the units of every internal input axis."""
    return masks_of([side for side in sides(parameters, INPUT) if is_internal(side)], choice)


def is_internal(side: Candidate) -> bool:
    """Whether others produce the axis of `side` and nobody else consumes it."""
    parameter, dim = side
    dimension = parameter.dimensions[dim]
    others = dimension.produced_by - {parameter.name}
    return bool(others) and dimension.consumed_by == {parameter.name}
