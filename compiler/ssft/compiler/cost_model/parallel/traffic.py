"""What one rank communicates in a step, as a list of transfers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ssft.compiler.cost_model.parallel.collectives import COLLECTIVES
from ssft.compiler.cost_model.parallel.layout import Dimension, Layout
from ssft.compiler.cost_model.parallel.links import Link, link_of

Purpose = Literal["gradients", "weights", "activations", "input gradients", "loss"]
"""What is sent: gradients of what trains; weights, of ZeRO; activations of the forward pass, also
when it is computed again; gradients of activations; scalars of the loss."""


@dataclass(frozen=True)
class Transfer:
    """`count` collectives a step, of `size` bytes each, among `ranks` ranks of a kind of group.

    `size` is what the operation is over, as `collectives` defines it: the whole tensor.
    """

    purpose: Purpose
    dimension: Dimension
    collective: str
    size: float
    ranks: int
    count: float = 1

    @property
    def sent(self) -> float:
        """Bytes that the rank sends for it in a step."""
        return self.count * COLLECTIVES[self.collective](self.size, self.ranks)


def sent(transfers: Iterable[Transfer], **having: str) -> float:
    """Returns the bytes sent by the transfers whose attributes have the values of `having`."""
    return sum(
        each.sent
        for each in transfers
        if all(getattr(each, name) == value for name, value in having.items())
    )


def seconds(transfers: Iterable[Transfer], layout: Layout, links: Sequence[Link]) -> float | None:
    """Returns the time that the transfers take one after the other; None if no links are known."""
    if not links:
        return None
    total = 0.0
    for each in transfers:
        link = link_of(links, layout, each.dimension)
        assert link is not None, "the last link joins all ranks"
        total += each.sent / link.bandwidth
    return total
