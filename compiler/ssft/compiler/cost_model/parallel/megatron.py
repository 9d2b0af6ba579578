"""What tensor-parallel ranks exchange (Megatron-LM, arXiv 1909.08053, section 3).

Each layer has two blocks, attention and feed-forward. A block's first matrices are split by
outputs and its last one by inputs, so its output is a sum over the ranks: an all-reduce in the
forward pass (g in the paper's figure 3). So is the gradient of its input: an all-reduce in the
backward pass (f). Two and two per layer, of tokens x hidden elements each.

With sequence parallelism (arXiv 2205.05198, section 4.2.2) each all-reduce is a reduce-scatter and
an all-gather, at the block's ends: as many bytes. One all-gather more in the backward pass brings
back the block's input, of which each rank keeps its tokens, for the weight gradients of the first
matrices. Where these are frozen it is not needed; for selected channels only these are gathered.

Nothing is exchanged for gradients that the backward pass does not compute: a block whose input
depends on nothing that trains has no all-reduce there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ssft.compiler.cost_model.activations.saved import LayerView
from ssft.compiler.cost_model.activity import Activity
from ssft.compiler.cost_model.parallel.pieces import Piece
from ssft.compiler.cost_model.parallel.traffic import Purpose, Transfer
from ssft.compiler.cost_model.parallel.transformer import Job

LOSS_REDUCTIONS = 3
"""All-reduces of one fp32 number per token for a loss over a split vocabulary: the largest logit,
the sum of the exponentials, the label's logit (arXiv 1909.08053, section 3: logits stay split)."""


def tensor_transfers(job: Job, stage: int, pieces: Sequence[Piece]) -> Iterator[Transfer]:
    """Yields what a rank of a stage exchanges with its tensor-parallel peers in a step."""
    if job.layout.tensor == 1:
        return
    if stage == 0:
        yield from _embedding(job)
    for index in job.layers(stage):
        yield from _layer(job, index, job.active[index])
    if job.is_last(stage):
        yield from _head(job, job.active[-1])
    for piece in pieces:
        for size, ranks in piece.partial:
            yield Transfer("gradients", "tensor", "all-reduce", size, ranks)


def _layer(job: Job, index: int, active: Activity) -> Iterator[Transfer]:
    view = LayerView(job.shapes, job.method, index, active, job.work.length)
    forward_passes = 1 + (job.checkpointing and active.output)
    blocks = (
        (active.input, active.feed_forward_input, view.kept("q", "k", "v")),
        (
            active.feed_forward_input,
            active.output,
            view.kept(*job.shapes.feed_forward_inputs),
        ),
    )
    for input_active, output_active, kept in blocks:
        yield from _sum(job, "activations", True, forward_passes)
        if job.layout.sequence:
            yield from _split(job, "input gradients", output_active, input_active)
            yield _exchange(job, "activations", "all-gather", channels=kept)
        else:
            yield from _sum(job, "input gradients", input_active)


def _embedding(job: Job) -> Iterator[Transfer]:
    """Each rank looks up its own words: the embedding is a sum over the ranks."""
    if job.layout.sequence:
        yield _exchange(job, "activations", "reduce-scatter")
        if job.method.outer:
            yield _exchange(job, "input gradients", "all-gather")
    else:
        yield _exchange(job, "activations", "all-reduce")


def _head(job: Job, last: Activity) -> Iterator[Transfer]:
    """The head is split by outputs, like a block's first matrix; the loss sums over them."""
    if job.layout.sequence:
        yield _exchange(job, "activations", "all-gather")
        if job.method.outer:
            yield _exchange(job, "activations", "all-gather")
        if last.output:
            yield _exchange(job, "input gradients", "reduce-scatter")
    else:
        yield from _sum(job, "input gradients", last.output)
    count = LOSS_REDUCTIONS * job.layout.microbatches
    yield Transfer("loss", "tensor", "all-reduce", 4 * job.tokens, job.layout.tensor, count)


def _sum(job: Job, purpose: Purpose, needed: bool, passes: int = 1) -> Iterator[Transfer]:
    """An all-reduce, or its two halves."""
    if job.layout.sequence:
        yield from _split(job, purpose, needed, needed, passes)
    elif needed:
        yield _exchange(job, purpose, "all-reduce", passes)


def _split(
    job: Job, purpose: Purpose, gather: bool, scatter: bool, passes: int = 1
) -> Iterator[Transfer]:
    if gather:
        yield _exchange(job, purpose, "all-gather", passes)
    if scatter:
        yield _exchange(job, purpose, "reduce-scatter", passes)


def _exchange(
    job: Job, purpose: Purpose, collective: str, passes: int = 1, channels: int | None = None
) -> Transfer:
    """One collective a microbatch over tokens x hidden, or x `channels`, elements."""
    width = job.shapes.hidden if channels is None else channels
    size = job.tokens * width * job.storage.weights
    count = passes * job.layout.microbatches
    return Transfer(purpose, "tensor", collective, size, job.layout.tensor, count)
