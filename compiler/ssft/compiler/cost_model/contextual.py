"""SparseLoRA's contextual sparsity (arXiv 2506.16500): the share of products that is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ssft.compiler.cost_model.architecture import ATTENTION, Architecture
from ssft.compiler.diagnostics import UserError


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


def layer_shares(shares: Mapping[str, float]) -> dict[int, float]:
    """Returns a share for each layer from shares for lists of layers, e.g. ``{"3-5,8": 0.9}``.

    Raises UserError for a list that is none, and for a share that is none.
    """
    found = {}
    for text, share in shares.items():
        if not 0 <= share <= 1:
            raise UserError(f"sparsity {share} of layers {text} is not between 0 and 1")
        for part in text.split(","):
            first, dash, last = part.strip().partition("-")
            if not first.isdecimal() or not (last if dash else first).isdecimal():
                raise UserError(f"'{text}' is no list of layers", notes=["e.g. 17-19,21"])
            found |= dict.fromkeys(range(int(first), int(last or first) + 1), share)
    return found


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
