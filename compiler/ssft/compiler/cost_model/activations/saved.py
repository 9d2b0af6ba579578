"""What the forward pass keeps for the backward pass, value by value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ssft.compiler.cost_model.activity import Activity
from ssft.compiler.cost_model.architecture import Architecture
from ssft.compiler.cost_model.methods import Method
from ssft.compiler.cost_model.training import Frozen, LowRank

Region = Literal["residual", "inner", "replicated"]
"""Where a value lies, as tensor parallelism sees it (arXiv 1909.08053, section 3).

``"inner"``: between a matrix split by its outputs and one split by its inputs, so the value is
split, too. ``"residual"``: all ranks hold the same, unless sequence parallelism splits the tokens
(arXiv 2205.05198, 4.2.2). ``"replicated"``: all ranks hold the same in any case.
"""


@dataclass(frozen=True)
class Saved:
    """A kept value: `elements` per token of `bytes_each` bytes.

    `channels` says whether its size grows with the layer's widths; statistics of norms and of
    softmax, and the r channels between a low-rank adapter's factors do not.
    """

    name: str
    elements: float
    bytes_each: int
    channels: bool = True
    region: Region = "residual"

    @property
    def bytes(self) -> float:
        """Bytes per token."""
        return self.elements * self.bytes_each


@dataclass(frozen=True)
class LayerView:
    """One layer as the accounts see it: shapes, what trains, what needs gradients."""

    architecture: Architecture
    method: Method
    index: int
    active: Activity
    length: int

    def training(self, projection: str) -> Frozen:
        """What of a projection trains."""
        return self.method.training(self.index, projection)

    def kept(self, *projections: str) -> int:
        """Channels that the weight gradients of projections of one input read.

        All of them as soon as one needs all, otherwise their selected ones.
        """
        linears = [self.architecture.linear(name) for name in projections]
        counts = [self.training(linear.name).kept_inputs(linear) for linear in linears]
        return min(sum(counts), linears[0].inputs)

    def needs_whole(self, *projections: str) -> bool:
        """Whether some weight gradient of projections of one input reads all of it."""
        return self.kept(*projections) == self.architecture.linear(projections[0]).inputs


def low_rank_channels(layer: LayerView, each: int) -> list[Saved]:
    """Returns the r channels between the factors of each low-rank adapter of a layer."""
    return [
        Saved(f"low-rank channels of {linear.name}", kind.rank, each, False, "replicated")
        for linear in layer.architecture.linears()
        if isinstance(kind := layer.training(linear.name), LowRank)
    ]


def inner(saved: Iterable[Saved]) -> list[Saved]:
    """Returns the values as values that tensor parallelism splits."""
    return [replace(value, region="inner") for value in saved]


def present(*values: tuple[object, Saved]) -> list[Saved]:
    """Returns the values whose condition holds and that have elements."""
    return [saved for condition, saved in values if condition and saved.elements]


def bytes_per_token(saved: Iterable[Saved]) -> float:
    """Returns the bytes per token of some values."""
    return sum(value.bytes for value in saved)


def channel_elements(saved: Sequence[Saved]) -> float:
    """Returns the elements per token of the values that grow with the layer's widths."""
    return sum(value.elements for value in saved if value.channels)
