"""What of one linear layer trains, and what its gradient costs.

With ``y = x Wᵀ``, W [m outputs, n inputs] and g = dL/dy, every kind needs ``dx = g W`` whole; they
differ in the weight gradient ``dW = gᵀ x``. Counts are multiply-adds and elements *per token*.
"""

from __future__ import annotations

from dataclasses import dataclass

from ssft.compiler.cost_model.architecture import Linear


@dataclass(frozen=True)
class Frozen:
    """Nothing trains."""

    def parameters(self, linear: Linear) -> int:
        """Trainable elements."""
        return 0

    def weight_gradient(self, linear: Linear) -> int:
        """Multiply-adds per token of the products that give gradients of trainable elements."""
        return 0

    def kept_inputs(self, linear: Linear) -> int:
        """Input channels that the weight gradient reads, so that forward must keep them."""
        return 0


@dataclass(frozen=True)
class Full(Frozen):
    """The whole matrix trains: dW [m, n] (mn multiply-adds), from all of x."""

    def parameters(self, linear: Linear) -> int:
        """Trainable elements."""
        return linear.weights

    def weight_gradient(self, linear: Linear) -> int:
        """Multiply-adds per token."""
        return linear.weights

    def kept_inputs(self, linear: Linear) -> int:
        """All input channels."""
        return linear.inputs


@dataclass(frozen=True)
class Columns(Frozen):
    """`count` input channels train: dW[:, C] = gᵀ x[:, C] (S2FT 3.3, PaCA): mk multiply-adds."""

    count: int

    def parameters(self, linear: Linear) -> int:
        """Trainable elements."""
        return linear.outputs * self.count

    def weight_gradient(self, linear: Linear) -> int:
        """Multiply-adds per token."""
        return linear.outputs * self.count

    def kept_inputs(self, linear: Linear) -> int:
        """The selected channels alone."""
        return self.count


@dataclass(frozen=True)
class Rows(Frozen):
    """`count` output channels train: dW[R] = g[:, R]ᵀ x: nk multiply-adds, from *all* of x."""

    count: int

    def parameters(self, linear: Linear) -> int:
        """Trainable elements."""
        return linear.inputs * self.count

    def weight_gradient(self, linear: Linear) -> int:
        """Multiply-adds per token."""
        return linear.inputs * self.count

    def kept_inputs(self, linear: Linear) -> int:
        """All input channels."""
        return linear.inputs if self.count else 0


@dataclass(frozen=True)
class Entries(Frozen):
    """`density` of the elements train, unstructured: dense dW, then a gather (SIFT's hook)."""

    density: float

    def parameters(self, linear: Linear) -> int:
        """Trainable elements."""
        return round(self.density * linear.weights)

    def weight_gradient(self, linear: Linear) -> int:
        """Multiply-adds per token: those of the dense gradient."""
        return linear.weights

    def kept_inputs(self, linear: Linear) -> int:
        """All input channels."""
        return linear.inputs


@dataclass(frozen=True)
class LowRank(Frozen):
    """LoRA (arXiv 2106.09685): ``y = x Wᵀ + s (x Aᵀ) Bᵀ``, A [r, n] and B [m, r] train, W does not.

    r(m + n) multiply-adds each in forward, input gradient (of which rn only if dx is needed) and
    weight gradient; A's gradient reads all of x. With `magnitude` (DoRA, arXiv 2402.09353) a scale
    of m elements trains, too, and peft, under dropout, multiplies by W a second time, in forward
    and in the input gradient. Not counted: the norm of the merged weight, once a step.
    """

    rank: int
    magnitude: bool = False

    def parameters(self, linear: Linear) -> int:
        """Trainable elements."""
        scale = linear.outputs if self.magnitude else 0
        return self.rank * (linear.outputs + linear.inputs) + scale

    def weight_gradient(self, linear: Linear) -> int:
        """Multiply-adds per token."""
        return self.rank * (linear.outputs + linear.inputs)

    def kept_inputs(self, linear: Linear) -> int:
        """All input channels."""
        return linear.inputs


FROZEN = Frozen()
