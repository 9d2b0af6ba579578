"""``top``: the parameters that the forward pass uses last (transfer learning; MobileTL's case).

The backward pass ends at the first of them: nothing below needs a gradient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.choice import Choice
from ssft.compiler.recipes.parameters import FULL, Parameter


def choose(parameters: Sequence[Parameter], choice: Choice) -> Mapping[str, Mask]:
    """Trains the last parameters with at most ``choice.ratio`` of all elements, at least one."""
    left = choice.ratio * sum(parameter.elements for parameter in parameters)
    chosen: dict[str, Mask] = {}
    for parameter in sorted(parameters, key=lambda p: -p.position):
        left -= parameter.elements
        if left < 0 and (chosen or choice.ratio == 0):
            break
        chosen[parameter.name] = FULL
    return chosen
