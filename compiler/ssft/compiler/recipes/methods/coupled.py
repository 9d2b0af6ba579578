"""``coupled``: both sides of internal axes, each with a ratio of its own (S2FT's other variants).

S2FT (arXiv 2412.06289, section 3.1, and the four ratios of its code) may train the matrices that
produce an internal axis, too: rows of the value and up projection beside columns of the output and
down projection, from different units. Every producer and consumer takes part; with ``ratio`` 0 and
``ratios`` for some of them only these do. Rows and columns of an axis are drawn independently;
co-permutation stores them as [only rows | both | only columns | rest], so that both are slices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ssft.compiler.analysis.linears import INPUT, OUTPUT
from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.choice import Candidate, Choice
from ssft.compiler.recipes.methods.s2ft import is_internal
from ssft.compiler.recipes.parameters import Parameter
from ssft.compiler.recipes.sides import masks_of, sides


def choose(parameters: Sequence[Parameter], choice: Choice) -> Mapping[str, Mask]:
    """Chooses units of internal axes, for producers and for consumers by themselves."""
    consumers = [side for side in sides(parameters, INPUT) if is_internal(side)]
    masks = _by_ratio(consumers, choice, "")
    names = {parameter.name for parameter, _ in consumers}
    producers = [
        side
        for side in sides(parameters, OUTPUT)
        if frozenset() < side.parameter.dimensions[side.dim].consumed_by <= names
    ]
    for name, mask in _by_ratio(producers, choice, "produced").items():
        other = masks.get(name)
        both = Mask(
            mask.rows or (other and other.rows), mask.columns or (other and other.columns), "union"
        )
        masks[name] = mask if other is None else both
    return masks


def _by_ratio(candidates: Sequence[Candidate], choice: Choice, stream: str) -> dict[str, Mask]:
    """Masks of candidates; those that share an axis may have different ratios."""
    groups: dict[float, list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(choice.ratio_of(candidate.parameter.name), []).append(candidate)
    found: dict[str, Mask] = {}
    for ratio, group in groups.items():
        if ratio > 0:
            found |= masks_of(group, replace(choice, stream=stream))
    return found
