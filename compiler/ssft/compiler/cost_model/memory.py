"""Bytes of one training step, by purpose."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from types import ModuleType

from ssft.compiler.cost_model.activations import eager
from ssft.compiler.cost_model.activations.saved import LayerView, bytes_per_token
from ssft.compiler.cost_model.activity import activities
from ssft.compiler.cost_model.architecture import Architecture
from ssft.compiler.cost_model.flops import Workload
from ssft.compiler.cost_model.methods import Method, adapter_parameters, trainable_parameters


@dataclass(frozen=True)
class Storage:
    """Bytes of an element: weights, gradients, each of Adam's two moments.

    `adapters` is for weights, gradients and moments of low-rank adapters alike: peft keeps them in
    fp32 beside a bf16 model. `adapter_moments`, if given, is for their moments alone. `master`:
    fp32 copies of trained weights of the model, 0 for none.
    """

    weights: int = 2
    gradients: int = 2
    moments: int = 2
    adapters: int = 4
    master: int = 0
    adapter_moments: int | None = None

    @property
    def moments_of_adapters(self) -> int:
        """Bytes of an element of each moment of an adapter."""
        return self.adapters if self.adapter_moments is None else self.adapter_moments


@dataclass(frozen=True)
class Memory:
    """Bytes by purpose. Not counted: fragmentation, libraries' workspaces, the batch, buffers."""

    weights: float
    gradients: float
    optimizer_states: float
    activations: float
    temporaries: float

    @property
    def total(self) -> float:
        """All purposes at once: a step in the midst of training when its backward pass begins."""
        return sum(asdict(self).values())

    @property
    def update(self) -> float:
        """Weights, gradients and states: the update, when activations are gone."""
        return self.weights + self.gradients + self.optimizer_states

    @property
    def first_step(self) -> float:
        """Peak of the very first step: moments and activations are never there together.

        Adam makes its moments in its first update. Gradients come as activations go.
        """
        return max(self.weights + self.activations + self.temporaries, self.update)


def step_memory(
    architecture: Architecture,
    method: Method,
    work: Workload,
    storage: Storage | None = None,
    implementation: ModuleType = eager,
    *,
    checkpointing: bool = False,
) -> Memory:
    """Returns the bytes of a step.

    `implementation` is a module of `activations`. With `checkpointing` every layer keeps its input
    alone, and one layer's activations at a time are temporaries.
    """
    storage = storage or Storage()
    beside = adapter_parameters(architecture, method)
    within = trainable_parameters(architecture, method) - beside
    layers, outer, live = saved_bytes(
        architecture, method, work, implementation, checkpointing, storage.weights
    )
    last = _views(architecture, method, work)[-1]
    temporaries = implementation.loss_temporaries(last, storage.weights)
    return Memory(
        weights=storage.weights * architecture.parameters
        + storage.adapters * beside
        + storage.master * within,
        gradients=storage.gradients * within + storage.adapters * beside,
        optimizer_states=2 * (storage.moments * within + storage.moments_of_adapters * beside),
        activations=layers + outer,
        temporaries=live + work.tokens * bytes_per_token(temporaries),
    )


def saved_bytes(
    architecture: Architecture,
    method: Method,
    work: Workload,
    implementation: ModuleType = eager,
    checkpointing: bool = False,
    each: int = 2,
) -> tuple[float, float, float]:
    """Returns bytes kept by all layers, bytes kept by the rest, bytes of one recomputed layer.

    The last is 0 without `checkpointing`.
    """
    views = _views(architecture, method, work)
    kept = [bytes_per_token(implementation.layer_saved(view, each)) for view in views]
    outer = bytes_per_token(implementation.outer_saved(views[-1], each))
    layers, live = sum(kept), 0.0
    if checkpointing:
        layers, live = architecture.layers * architecture.hidden * each, max(kept)
    return work.tokens * layers, work.tokens * outer, work.tokens * live


def _views(architecture: Architecture, method: Method, work: Workload) -> list[LayerView]:
    active = activities(architecture, method, input_requires_grad=work.input_requires_grad)
    return [
        LayerView(architecture, method, index, activity, work.length)
        for index, activity in enumerate(active)
    ]
