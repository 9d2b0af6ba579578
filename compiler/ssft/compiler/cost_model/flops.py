"""Floating-point operations of one training step, by phase. A multiply-add is 2.

Counted are matrix products, as in the compiler's report (`ssft.compiler.analysis.cost.flops`), and
the optimizer's arithmetic; norms, softmax, activations, rotary embeddings and the loss are not.
Tests hold the numbers equal to the compiler's, and those of adapters to PyTorch's counter on peft.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from ssft.compiler.cost_model.activity import Activity, activities
from ssft.compiler.cost_model.architecture import Architecture
from ssft.compiler.cost_model.contextual import DENSE, ContextualSparsity
from ssft.compiler.cost_model.methods import Method, trainable_parameters
from ssft.compiler.cost_model.training import LowRank

ADAMW_OPERATIONS = 14
"""Scalar operations of AdamW on one element: first moment 3, second moment 4, square root and
division for the bias correction and epsilon 3, step 3, decay 1."""


@dataclass(frozen=True)
class Workload:
    """One step's batch: `batch` sequences of `length` tokens.

    `attended` is the share of the score matrix that attention computes: 1 for all of it (eager and
    the compiler), 0.5 for kernels that skip what the causal mask hides. `input_requires_grad`: see
    `activity.activities`.
    """

    batch: int
    length: int
    attended: float = 1.0
    input_requires_grad: bool = False

    @property
    def tokens(self) -> int:
        """batch x length."""
        return self.batch * self.length


@dataclass(frozen=True)
class Flops:
    """Floating-point operations by phase."""

    forward: float = 0
    input_gradient: float = 0
    weight_gradient: float = 0
    update: float = 0

    def __add__(self, other: Flops) -> Flops:
        pairs = zip(asdict(self).values(), asdict(other).values(), strict=True)
        return Flops(*(a + b for a, b in pairs))

    @property
    def total(self) -> float:
        """All phases."""
        return sum(asdict(self).values())

    @property
    def products(self) -> float:
        """All phases but the update: the products alone."""
        return self.total - self.update


def step_flops(
    architecture: Architecture,
    method: Method,
    work: Workload,
    contextual: ContextualSparsity = DENSE,
) -> Flops:
    """Returns the operations of one step: every layer, the head, the update.

    `contextual` scales the products of the base weights, of forward and input gradient
    (SparseLoRA); nothing else.
    """
    active = activities(architecture, method, input_requires_grad=work.input_requires_grad)
    total = Flops(update=ADAMW_OPERATIONS * trainable_parameters(architecture, method))
    for index, activity in enumerate(active):
        total += layer_flops(architecture, method, work, index, activity, contextual)
    return total + _head_flops(architecture, method, work, active[-1].output)


def layer_flops(
    architecture: Architecture,
    method: Method,
    work: Workload,
    index: int,
    active: Activity,
    contextual: ContextualSparsity = DENSE,
) -> Flops:
    """Returns the operations of one layer: its projections and its attention."""
    parts = list(_projections(architecture, method, work, index, active, contextual))
    return sum([*parts, attention_flops(architecture, work, active)], Flops())


def _projections(
    architecture: Architecture,
    method: Method,
    work: Workload,
    index: int,
    active: Activity,
    contextual: ContextualSparsity,
) -> Iterator[Flops]:
    """Per linear layer [m, n] on N tokens: 2Nmn forward, 2Nmn input gradient, and what trains."""
    for linear in architecture.linears():
        trained = method.training(index, linear.name)
        below = active.input_gradient(linear.name)
        dense = linear.weights * contextual.computed(index, linear.name)
        forward = dense
        backward = dense * below
        if isinstance(trained, LowRank):
            passes = 1 + trained.magnitude
            low = trained.rank * linear.outputs, trained.rank * linear.inputs
            forward = passes * forward + sum(low)
            # The gradient of x Aᵀ is needed for A whether or not x needs one.
            backward = passes * backward + low[0] + low[1] * below
        gradient = trained.weight_gradient(linear)
        yield Flops(*(2 * work.tokens * count for count in (forward, backward, gradient)))


def attention_flops(architecture: Architecture, work: Workload, active: Activity) -> Flops:
    """Scores ``q kᵀ`` and mixing ``p v``: 2NSw each forward, w = heads x head size.

    Backward, each of dq, dk, dp and dv is a product of the same size, where it is needed.
    """
    product = 2 * work.tokens * work.length * architecture.attention_width * work.attended
    backward = active.query + active.key + active.scores + active.value
    return Flops(2 * product, backward * product)


def _head_flops(
    architecture: Architecture, method: Method, work: Workload, hidden_needs_gradient: bool
) -> Flops:
    product = 2 * work.tokens * architecture.head.weights
    return Flops(product, product * hidden_needs_gradient, product * (method.outer > 0))
