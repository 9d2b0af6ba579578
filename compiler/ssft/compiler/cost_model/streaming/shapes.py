"""A model's shapes as a step to stream: full fine-tuning in mixed precision, a layer at a time."""

from __future__ import annotations

from ssft.compiler.cost_model.activations import fused
from ssft.compiler.cost_model.activations.saved import LayerView, bytes_per_token
from ssft.compiler.cost_model.activity import activities
from ssft.compiler.cost_model.architecture import Architecture
from ssft.compiler.cost_model.flops import ADAMW_OPERATIONS, Workload, step_flops
from ssft.compiler.cost_model.methods import full
from ssft.compiler.cost_model.streaming.step import Segment, Step, Tensor, Update

STATES = 12
"""Bytes of an element: an fp32 copy and two fp32 moments."""


def shape_step(shapes: Architecture, work: Workload) -> Step:
    """Returns the step of full fine-tuning with 2-byte weights and gradients.

    Each layer keeps its input and is computed again in the backward pass (checkpointing). The last
    piece is what lies outside of the layers: embeddings, the last norm, the head with the loss.
    """
    layers, count = shapes.layers, shapes.layers + 1
    sizes = [float(shapes.layer_parameters)] * layers + [float(shapes.outer_parameters)]
    working = [_working(shapes, work)] * layers + [6.0 * work.tokens * shapes.vocabulary]
    forward = _forward_flops(shapes, work)
    segments = [Segment("forward", forward[n], working[n]) for n in range(count)]
    # The head is not computed again: its backward pass follows at once.
    segments += [
        Segment("backward", (3 if n < layers else 2) * forward[n], working[n])
        for n in reversed(range(count))
    ]
    segments += [Segment("update", ADAMW_OPERATIONS * size, 0.0) for size in sizes]
    tensors: list[Tensor] = []
    updates = []
    for n, size in enumerate(sizes):
        # The embedding is read first, and its gradient is made last.
        ends = (0, n, 2 * count - 1 - n, 2 * count - 1) if n == layers else (n, 2 * count - 1 - n)
        update, made, first = 2 * count + n, max(ends), len(tensors)
        tensors += [
            Tensor(f"weights {n}", "trainable", 2 * size, (*sorted(ends), update), (update,)),
            Tensor(f"states {n}", "state", STATES * size, (update,), (update,)),
            Tensor(f"gradients {n}", "gradient", 2 * size, (made, update), (made,)),
        ]
        updates.append(Update(update, size, (first + 2,), (first + 1,), first))
        if n < layers:
            kept = 2.0 * work.tokens * shapes.hidden
            tensors.append(
                Tensor(f"input of {n}", "activation", kept, (n, 2 * count - 1 - n), (n,))
            )
    return Step(shapes.name, "full", tuple(segments), tuple(tensors), tuple(updates), 0.0)


def _forward_flops(shapes: Architecture, work: Workload) -> list[float]:
    head = 2.0 * work.tokens * shapes.head.weights
    layer = (step_flops(shapes, full(shapes), work).forward - head) / shapes.layers
    return [layer] * shapes.layers + [head]


def _working(shapes: Architecture, work: Workload) -> float:
    """Bytes of one layer that is computed again."""
    method = full(shapes)
    active = activities(shapes, method, input_requires_grad=work.input_requires_grad)
    view = LayerView(shapes, method, shapes.layers - 1, active[-1], work.length)
    return work.tokens * bytes_per_token(fused.layer_saved(view, 2))
