"""Saved activations of one rank."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType

from ssft.compiler.cost_model.activations.saved import LayerView, Saved
from ssft.compiler.cost_model.parallel.layout import Layout
from ssft.compiler.cost_model.parallel.transformer import Job


def stage_activations(job: Job, stage: int, implementation: ModuleType) -> tuple[float, float]:
    """Returns the bytes that a rank of a stage keeps, and those of temporaries beside them.

    Kept: what the stage's layers keep of a microbatch, for as many microbatches as are in flight
    (`Layout.in_flight`), and on the last stage what norm, head and loss keep. Temporaries: one
    recomputed layer with checkpointing, and the loss's. `implementation` is a module of
    `ssft.compiler.cost_model.activations`.

    What tensor parallelism divides is in each value's `region`: sbh(10 + 24/t + 5as/ht) bytes of a
    layer, all of it by t with sequence parallelism, in arXiv 2205.05198, table 2.
    """
    each, layout = job.storage.weights, job.layout
    views = [
        LayerView(job.shapes, job.method, index, job.active[index], job.work.length)
        for index in job.layers(stage)
    ]
    layers = [rank_bytes(implementation.layer_saved(view, each), layout) for view in views]
    kept, live = sum(layers), 0.0
    if job.checkpointing:
        inputs = Saved("input of a layer", job.shapes.hidden, each)
        kept, live = len(views) * rank_bytes([inputs], layout), max(layers)
    if job.is_last(stage):
        kept += rank_bytes(implementation.outer_saved(views[-1], each), layout)
        live += rank_bytes(implementation.loss_temporaries(views[-1], each), layout)
    return job.tokens * kept * layout.in_flight(stage), job.tokens * live


def rank_bytes(saved: Iterable[Saved], layout: Layout) -> float:
    """Returns the bytes per token that a tensor-parallel rank keeps of some values."""
    shares = {
        "inner": layout.tensor,
        "residual": layout.tensor if layout.sequence else 1,
        "replicated": 1,
    }
    return sum(value.bytes / shares[value.region] for value in saved)
