"""What pipeline stages exchange, and how long a step takes them (arXiv 1811.06965, 2104.04473)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ssft.compiler.cost_model.parallel.traffic import Transfer
from ssft.compiler.cost_model.parallel.transformer import Job


def pipeline_transfers(job: Job, stage: int) -> Iterator[Transfer]:
    """Yields what a rank of a stage sends to its neighbours in a step.

    Per microbatch, tokens x hidden elements forward, and as many back unless nothing of the earlier
    stages trains: then there is no backward pass below. Every tensor-parallel rank sends all of
    them to its peer, with sequence parallelism its own tokens. An embedding that is the head as
    well is on two stages, which sum its gradient (arXiv 2104.04473).
    """
    share = job.layout.tensor if job.layout.sequence else 1
    size = job.tokens * job.shapes.hidden * job.storage.weights / share
    ranks, count = job.layout.pipeline, job.layout.microbatches
    if not job.is_last(stage):
        yield Transfer("activations", "pipeline", "point-to-point", size, ranks, count)
    if stage > 0 and job.active[job.layers(stage)[0]].input:
        yield Transfer("input gradients", "pipeline", "point-to-point", size, ranks, count)
    if job.tied_apart and job.method.outer and (stage == 0 or job.is_last(stage)):
        elements = job.shapes.vocabulary * job.shapes.hidden / job.layout.tensor
        gradient = job.storage.gradients * job.method.outer * elements
        yield Transfer("gradients", "pipeline", "all-reduce", gradient, 2)


def schedule_seconds(stages: Sequence[float], microbatches: int) -> float:
    """Returns how long both schedules take, from each stage's time for one microbatch.

    The slowest stage works all the time once the pipeline is full, and all stages fill and drain
    it: with p equal stages (m + p - 1) times, a bubble of (p - 1) / m (arXiv 2104.04473, 2.2.1).
    """
    return (microbatches - 1) * max(stages) + sum(stages)
