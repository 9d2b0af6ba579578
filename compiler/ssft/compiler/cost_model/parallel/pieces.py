"""Parts of a model as one rank holds them before ZeRO shards them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Partial = tuple[tuple[float, int], ...]
"""Bytes of gradients, and of how many tensor-parallel ranks each computes an addend of them."""


@dataclass(frozen=True)
class Piece:
    """A parameter, or several alike, in bytes.

    `weights`: as stored. `gradients`, `states`: of what trains of them. `updated`: of the weights,
    those that an update changes. `unit`: what ZeRO-3 gathers at a time, such as a layer.
    `forward`, `backward`: that pass reads the weights. `copies`: tensor-parallel ranks that hold
    the same. `partial`: gradients that are addends only.
    """

    name: str
    unit: str
    weights: float
    gradients: float = 0.0
    states: float = 0.0
    updated: float = 0.0
    forward: bool = True
    backward: bool = True
    copies: int = 1
    partial: Partial = ()


@dataclass(frozen=True)
class ModelBytes:
    """Bytes of a model on a rank by purpose; `gathered` is the buffer of ZeRO-3's weights."""

    weights: float
    gradients: float
    states: float
    gathered: float = 0.0


def whole(pieces: Iterable[Piece]) -> ModelBytes:
    """Returns the sums over some pieces."""
    held = list(pieces)
    return ModelBytes(
        sum(piece.weights for piece in held),
        sum(piece.gradients for piece in held),
        sum(piece.states for piece in held),
    )
