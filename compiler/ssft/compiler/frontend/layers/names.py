"""Which weight of the model an argument or result belongs to, in the short step and the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence as Values
from dataclasses import dataclass

from ssft.compiler.frontend.layers.forward import RepeatedWeights
from ssft.compiler.repeats import Run, UnevenError


@dataclass(frozen=True)
class Standing:
    """A weight's place: number `index` of repetition `repetition` of ``weights[group]``."""

    group: int
    repetition: int
    index: int


class Names:
    """The names of repeated weights."""

    def __init__(self, weights: Values[RepeatedWeights]) -> None:
        self.weights = weights
        self.standing: dict[str, Standing] = {}
        for group, repeated in enumerate(weights):
            for repetition, names in enumerate(repeated.kept):
                for index, name in enumerate(names):
                    self.standing[name] = Standing(group, repetition, index)

    def next_of(self, name: str) -> str | None:
        """Returns the name of the same weight in the short model's next repetition."""
        at = self.standing.get(name)
        if at is None or at.repetition + 1 == len(self.weights[at.group].kept):
            return None
        return self.weights[at.group].kept[at.repetition + 1][at.index]

    def outside(self, name: str) -> str:
        """Returns what a name outside of all runs is called in the whole model."""
        at = self.standing.get(name)
        if at is None:
            return name
        repeated = self.weights[at.group]
        repetition = at.repetition
        if repetition >= len(repeated.kept) - 2:
            repetition += repeated.removed
        elif repetition > 1:
            raise UnevenError(f"{name} stands alone")
        return repeated.names[repetition][at.index]

    def inside(self, run: Run, names: Values[str | None], repetition: int) -> str:
        """Returns the whole model's name of an item of a run, `names` being the short step's.

        `names` are those of all repetitions of the item; they must be one weight's, in
        steps of one. Only the first and the last may be another's.
        """
        places = [self.standing.get(name or "") for name in names]
        votes = Counter(
            (at.group, at.repetition - k, at.index) for k, at in enumerate(places) if at
        )
        (group, shift, index), count = votes.most_common(1)[0] if votes else ((0, 0, 0), 0)
        if count < len(places) - 1 or count < 3:
            raise UnevenError(f"{names[1]} does not recur with its layer")
        repeated = self.weights[group]
        odd = [k for k, at in enumerate(places) if at != Standing(group, k + shift, index)]
        last = run.count + repeated.removed - 1
        if odd and repetition == (0 if odd[0] == 0 else last if odd[0] == run.count - 1 else None):
            return self.outside(names[odd[0]] or "")
        if odd and odd[0] not in (0, run.count - 1):
            raise UnevenError(f"{names[odd[0]]} interrupts its layers")
        if not 0 <= repetition + shift < len(repeated.names):
            raise UnevenError(f"no layer {repetition + shift}")
        return repeated.names[repetition + shift][index]
