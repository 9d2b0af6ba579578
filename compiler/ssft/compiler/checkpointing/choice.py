"""Which recomputation a mode asks for, and which is the cheapest one that fits into memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from ssft.compiler.analysis.flow import Flow
from ssft.compiler.checkpointing.layers import Layers, possible_layers
from ssft.compiler.checkpointing.recomputation import Recomputation
from ssft.compiler.checkpointing.selection import by_bytes_per_operation, candidates

MODES = ("none", "layer", "selective", "auto")

SHARE = 0.1
"""Without a target, mode ``selective`` does at most this share of the forward pass again."""


@dataclass(frozen=True)
class Choice:
    """A recomputation and the mode that made it: ``none``, ``layer`` or ``selective``."""

    mode: str
    recomputation: Recomputation

    @cached_property
    def peak(self) -> int:
        """The most bytes of temporaries that are alive at once."""
        return self.recomputation.peak()


@dataclass
class Chooser:
    """Finds recomputations for the step `flow`."""

    flow: Flow

    @cached_property
    def layers(self) -> Layers:
        """What repeats in the forward pass, cut where that leads to the least peak."""
        found = possible_layers(self.flow)
        return min(found, key=lambda layers: self._within(layers).peak()) if found[1:] else found[0]

    @cached_property
    def order(self) -> list[int]:
        """Saved activations, those first that are worth recomputing most."""
        return by_bytes_per_operation(self.flow, self.layers)

    def none(self) -> Choice:
        """Everything that is saved stays."""
        return Choice("none", Recomputation(self.flow, frozenset()))

    def layer(self) -> Choice:
        """Of each layer only what crosses its boundaries is kept; none if nothing repeats."""
        if not self.layers.segments:
            return self.none()
        return Choice("layer", self._within(self.layers))

    def _within(self, layers: Layers) -> Recomputation:
        dropped = candidates(self.flow, layers)
        return Recomputation.dropping(self.flow, dropped, layers.crossing)

    def selective(self, count: int) -> Choice:
        """The `count` activations that are most worth it are computed again."""
        return Choice("selective", self._dropping(self.order[:count]))

    def until(self, fits: Callable[[Recomputation], bool]) -> Choice | None:
        """The selection that gives up the fewest activations among those that fit.

        As if what fits went on fitting with more of them given up; None if not even all do.
        """
        low, high = 0, len(self.order)
        if not fits(self.selective(high).recomputation):
            return None
        while low < high:
            middle = (low + high) // 2
            if fits(self.selective(middle).recomputation):
                high = middle
            else:
                low = middle + 1
        return self.selective(high)

    def cheap(self) -> Choice:
        """As many activations as can be computed again for `SHARE` of the forward pass."""
        limit = SHARE * sum(op.products for op in self.flow.ops[: self.flow.forward])
        low, high = 0, len(self.order)
        while low < high:
            middle = (low + high + 1) // 2
            if self.selective(middle).recomputation.flops <= limit:
                low = middle
            else:
                high = middle - 1
        return self.selective(low)

    def cheapest(self, limit: int) -> Choice | None:
        """The choice of all modes with the least work whose peak is at most `limit` bytes."""
        if self.none().peak <= limit:
            return self.none()
        found = [self.until(lambda recomputation: recomputation.peak() <= limit), self.layer()]
        fitting = [choice for choice in found if choice is not None and choice.peak <= limit]
        return min(fitting, key=lambda choice: choice.recomputation.flops, default=None)

    def least(self) -> Choice:
        """The choice with the least peak."""
        every = [self.none(), self.layer(), self.selective(len(self.order))]
        return min(every, key=lambda choice: (choice.peak, choice.recomputation.flops))

    def _dropping(self, dropped: list[int]) -> Recomputation:
        return Recomputation.dropping(self.flow, dropped, self.layers.crossing)


def choose(flow: Flow, mode: str, *, saved: int = 0, peak: int = 0) -> Choice | None:
    """Returns what `mode` means for a step, or None if nothing fits.

    `saved` (bytes kept from the forward pass) and `peak` (bytes of temporaries at once) are
    targets, 0 for none. Mode ``auto`` without a target recomputes nothing.

    Raises:
        ValueError: no such mode.
    """
    chooser = Chooser(flow)
    if mode in ("none", "auto") and not (mode == "auto" and peak):
        return chooser.none()
    if mode == "layer":
        return chooser.layer()
    if mode == "auto":
        return chooser.cheapest(peak)
    if mode != "selective":
        raise ValueError(f"no mode of checkpointing: {mode}")
    if saved:
        return chooser.until(lambda recomputation: recomputation.saved_bytes <= saved)
    if peak:
        return chooser.until(lambda recomputation: recomputation.peak() <= peak)
    return chooser.cheap()
