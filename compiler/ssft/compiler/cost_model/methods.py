"""Fine-tuning methods: which part of each matrix of each layer trains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ssft.compiler.cost_model.architecture import ATTENTION, Architecture
from ssft.compiler.cost_model.training import (
    FROZEN,
    Columns,
    Entries,
    Frozen,
    Full,
    LowRank,
    Rows,
)
from ssft.compiler.diagnostics import UserError

S2FT_DIMENSIONS = {"v": Rows, "up": Rows, "o": Columns, "down": Columns}
"""Projections that S2FT can train, by the dimension of the coupled axis (arXiv 2412.06289, 3.1)."""

METHODS = ("full", "lora", "dora", "s2ft", "sift", "sparselora")
"""Names that the command line knows."""


@dataclass(frozen=True)
class Method:
    """What trains: `layers[i]` maps projections to kinds; projections that are absent are frozen.

    `outer` is the share of everything else (embeddings, norms, biases, head) that trains.
    """

    name: str
    layers: tuple[Mapping[str, Frozen], ...]
    outer: float = 0.0

    def training(self, layer: int, projection: str) -> Frozen:
        """Returns what of one projection of one layer trains."""
        return self.layers[layer].get(projection, FROZEN)

    @property
    def adapters(self) -> bool:
        """Whether what trains stands beside the model's weights instead of among them."""
        return any(isinstance(kind, LowRank) for layer in self.layers for kind in layer.values())


def full(architecture: Architecture) -> Method:
    """Everything trains."""
    layer = {linear.name: Full() for linear in architecture.linears()}
    return Method("full", (layer,) * architecture.layers, outer=1.0)


def low_rank(
    architecture: Architecture, rank: int, targets: Iterable[str], *, magnitude: bool = False
) -> Method:
    """LoRA of one rank on the `targets` of every layer; DoRA with `magnitude`."""
    if rank < 1:
        raise UserError(f"rank {rank} is not positive", exit_code=2)
    layer = {architecture.linear(name).name: LowRank(rank, magnitude) for name in targets}
    return Method("dora" if magnitude else "lora", (layer,) * architecture.layers)


def s2ft(
    architecture: Architecture, ratios: Mapping[str, float], *, budget: str = "layer"
) -> Method:
    """S2FT: heads of ``v`` and ``o``, channels of ``up`` and ``down``, by ratio of units.

    `budget` says how a ratio becomes numbers of units: ``"layer"`` is SSFT's recipe, the same in
    each layer, rounded, at least one unless the ratio is 0 (`recipes.parameters`); ``"global"`` is
    the published code (efficiency/memory.py of Infini-AI-Lab/S2FT, a58edbb): the total rounded
    down, drawn over all layers. Its random draw is spread evenly here: totals are what it fixes.
    """
    layers: list[dict[str, Frozen]] = [{} for _ in range(architecture.layers)]
    for name, ratio in ratios.items():
        if name not in S2FT_DIMENSIONS:
            known = ", ".join(S2FT_DIMENSIONS)
            raise UserError(f"S2FT does not train '{name}'", notes=[f"it trains {known}"])
        if not 0 <= ratio <= 1:
            raise UserError(f"ratio {ratio} of '{name}' is not between 0 and 1", exit_code=2)
        heads = architecture.key_value_heads if name == "v" else architecture.heads
        of_heads = name in ATTENTION
        units = heads if of_heads else architecture.feed_forward
        width = architecture.head_size if of_heads else 1
        for layer, count in zip(layers, _counts(units, ratio, len(layers), budget), strict=True):
            if count:
                layer[name] = S2FT_DIMENSIONS[name](count * width)
    return Method("s2ft", tuple(layers))


def _counts(units: int, ratio: float, layers: int, budget: str) -> list[int]:
    """Numbers of units per layer."""
    if budget == "layer":
        return [0 if ratio == 0 else max(1, round(ratio * units))] * layers
    each, more = divmod(int(units * layers * ratio), layers)
    return [each + (index < more) for index in range(layers)]


def sift(architecture: Architecture, density: float) -> Method:
    """SIFT (arXiv 2312.11875): `density` of all parameters, unstructured."""
    if not 0 < density <= 1:
        raise UserError(f"density {density} is not between 0 and 1", exit_code=2)
    layer = {linear.name: Entries(density) for linear in architecture.linears()}
    return Method("sift", (layer,) * architecture.layers, outer=density)


def trainable_parameters(architecture: Architecture, method: Method) -> int:
    """Elements that train."""
    matrices = sum(linear.weights for linear in architecture.linears()) * architecture.layers
    return layer_trainable(architecture, method) + round(
        method.outer * (architecture.parameters - matrices)
    )


def layer_trainable(architecture: Architecture, method: Method) -> int:
    """Elements that train of the layers' projections."""
    return sum(
        method.training(index, linear.name).parameters(linear)
        for index in range(architecture.layers)
        for linear in architecture.linears()
    )


def adapter_parameters(architecture: Architecture, method: Method) -> int:
    """Elements that train and stand beside the model's weights: LoRA's and DoRA's."""
    return layer_trainable(architecture, method) if method.adapters else 0
