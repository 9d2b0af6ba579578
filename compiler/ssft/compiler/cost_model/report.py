"""The cost report of one configuration, with the keys of a plan's report where both have them."""

from __future__ import annotations

from dataclasses import asdict
from types import ModuleType
from typing import Any

from ssft.compiler.cost_model.activations.saved import LayerView, Saved
from ssft.compiler.cost_model.activity import activities
from ssft.compiler.cost_model.architecture import Architecture
from ssft.compiler.cost_model.contextual import DENSE, ContextualSparsity
from ssft.compiler.cost_model.flops import Flops, Workload, step_flops
from ssft.compiler.cost_model.memory import Memory, Storage, step_memory
from ssft.compiler.cost_model.methods import (
    Method,
    adapter_parameters,
    full,
    trainable_parameters,
)


def cost_report(
    architecture: Architecture,
    method: Method,
    work: Workload,
    storage: Storage,
    implementation: ModuleType,
    *,
    contextual: ContextualSparsity = DENSE,
    checkpointing: bool = False,
) -> dict[str, Any]:
    """Returns all costs of a configuration as plain data; ``full`` is full fine-tuning beside it.

    FLOPs by phase, bytes by purpose, and, for a layer in the middle, each value that is kept for
    the backward pass with its elements and bytes per token.
    """

    def costs(what: Method, sparsity: ContextualSparsity) -> dict[str, Any]:
        memory = step_memory(
            architecture, what, work, storage, implementation, checkpointing=checkpointing
        )
        return {
            "flops": _flops(step_flops(architecture, what, work, sparsity)),
            "memory_bytes": _memory(memory),
        }

    middle = architecture.layers // 2
    view = LayerView(
        architecture,
        method,
        middle,
        activities(architecture, method, input_requires_grad=work.input_requires_grad)[middle],
        work.length,
    )
    return {
        "architecture": asdict(architecture),
        "method": method.name,
        "workload": asdict(work),
        "storage_bytes": asdict(storage),
        "implementation": implementation.__name__.rpartition(".")[2],
        "checkpointing": checkpointing,
        "trainable_parameters": trainable_parameters(architecture, method),
        "total_parameters": architecture.parameters + adapter_parameters(architecture, method),
        **costs(method, contextual),
        "full": costs(full(architecture), DENSE),
        "layer": middle,
        "saved_per_token": [
            _saved(value) for value in implementation.layer_saved(view, storage.weights)
        ],
    }


def _flops(flops: Flops) -> dict[str, int]:
    return {name: round(value) for name, value in asdict(flops).items()}


def _memory(memory: Memory) -> dict[str, int]:
    values = asdict(memory)
    values["optimizer_state"] = values.pop("optimizer_states")
    values["saved_activations"] = values.pop("activations")
    order = ("weights", "gradients", "optimizer_state", "saved_activations", "temporaries")
    peaks = {"total": memory.total, "first_step_peak": memory.first_step}
    return {key: round(value) for key, value in ({k: values[k] for k in order} | peaks).items()}


def _saved(value: Saved) -> dict[str, Any]:
    return {"name": value.name, "elements": value.elements, "bytes": value.bytes}
