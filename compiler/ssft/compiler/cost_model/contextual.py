"""SparseLoRA's contextual sparsity (arXiv 2506.16500): which share of the base weights is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ssft.compiler.cost_model.architecture import ATTENTION, Architecture


@dataclass(frozen=True)
class ContextualSparsity:
    """How much of the base weights' products SparseLoRA leaves out, averaged over training.

    `attention` and `feed_forward` map a layer's index to the share of channels left out;
    `context_share` is the share of a sequence's tokens that are context: the others stay dense
    (section 3.3); `dense_steps` is the share of the steps, at the start, that are dense.
    """

    attention: Mapping[int, float] = field(default_factory=dict)
    feed_forward: Mapping[int, float] = field(default_factory=dict)
    context_share: float = 1.0
    dense_steps: float = 0.0

    def computed(self, layer: int, projection: str) -> float:
        """The share of a projection's multiply-adds that is computed, averaged over training."""
        table = self.attention if projection in ATTENTION else self.feed_forward
        return 1 - (1 - self.dense_steps) * self.context_share * table.get(layer, 0.0)


DENSE = ContextualSparsity()
"""Nothing is left out."""


def computed_share(architecture: Architecture, sparsity: ContextualSparsity) -> float:
    """The share of the layers' linear multiply-adds that is computed (SparseLoRA, Table 12).

    Equal for forward and input gradient, which are all that the frozen base has; attention, head,
    adapters and the SVD predictor (0.05 % by the paper) are not counted.
    """
    weights = done = 0.0
    for index in range(architecture.layers):
        for linear in architecture.linears():
            weights += linear.weights
            done += linear.weights * sparsity.computed(index, linear.name)
    return done / weights
