"""Which gradients a backward pass needs: activity analysis on the shape of a transformer.

A value needs a gradient if and only if it depends on something that trains. Layers differ only
there: below the lowest trainable matrix nothing needs one.
"""

from __future__ import annotations

from dataclasses import dataclass

from ssft.compiler.cost_model.architecture import Architecture
from ssft.compiler.cost_model.methods import Method


@dataclass(frozen=True)
class Activity:
    """What of one layer takes part in the backward pass.

    `input`: the layer's input needs a gradient. `query`, `key`, `value`: that projection's output
    does. `feed_forward_input`: the input of the feed-forward block does. `gate`, `up`: that
    projection's output does (of a plain block, there is only ``up``). `output`: the layer's output
    does; if not, nothing of the layer is in the backward pass.
    """

    input: bool
    query: bool
    key: bool
    value: bool
    feed_forward_input: bool
    gate: bool
    up: bool
    output: bool

    @property
    def attention(self) -> bool:
        """Whether the attention output needs a gradient."""
        return self.query or self.key or self.value

    @property
    def scores(self) -> bool:
        """Whether the attention scores need a gradient."""
        return self.query or self.key

    @property
    def inner(self) -> bool:
        """Whether the input of ``down`` needs a gradient."""
        return self.gate or self.up

    def input_gradient(self, projection: str) -> bool:
        """Whether the input of a projection needs a gradient."""
        if projection in ("q", "k", "v"):
            return self.input
        return {"o": self.attention, "down": self.inner}.get(projection, self.feed_forward_input)


def activities(
    architecture: Architecture, method: Method, *, input_requires_grad: bool = False
) -> list[Activity]:
    """Returns what takes part in the backward pass, layer by layer from the first.

    `input_requires_grad`: the embedding's output requires a gradient although nothing below it
    trains, as after transformers' ``enable_input_require_grads()``.
    """
    below = input_requires_grad or method.outer > 0
    found = []
    for index in range(architecture.layers):
        active = _layer(architecture, method, index, below)
        found.append(active)
        below = active.output
    return found


def _layer(architecture: Architecture, method: Method, index: int, below: bool) -> Activity:
    def trains(*names: str) -> bool:
        return any(
            method.training(index, name).parameters(architecture.linear(name)) for name in names
        )

    query, key, value = (below or trains(name) for name in ("q", "k", "v"))
    after_attention = query or key or value or trains("o")
    gate = architecture.gated and (after_attention or trains("gate"))
    up = after_attention or trains("up")
    output = gate or up or trains("down")
    return Activity(below, query, key, value, after_attention, gate, up, output)
