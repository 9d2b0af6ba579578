"""A transformer's parameters as one pipeline stage and tensor-parallel rank hold them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from ssft.compiler.cost_model.activity import Activity, activities
from ssft.compiler.cost_model.architecture import SPLIT_BY_INPUTS, Architecture, Linear
from ssft.compiler.cost_model.flops import Workload
from ssft.compiler.cost_model.memory import Storage
from ssft.compiler.cost_model.methods import Method
from ssft.compiler.cost_model.parallel.layout import Layout
from ssft.compiler.cost_model.parallel.pieces import Partial, Piece
from ssft.compiler.cost_model.parallel.shards import Shard, shard
from ssft.compiler.cost_model.training import LowRank


@dataclass(frozen=True)
class Job:
    """A training step and how it is split. `work.batch` is the batch of one replica."""

    shapes: Architecture
    method: Method
    work: Workload
    storage: Storage
    layout: Layout
    checkpointing: bool = False

    @property
    def tokens(self) -> int:
        """Tokens of a microbatch."""
        return self.work.tokens // self.layout.microbatches

    @cached_property
    def active(self) -> list[Activity]:
        """What takes part in the backward pass, layer by layer."""
        requires = self.work.input_requires_grad
        return activities(self.shapes, self.method, input_requires_grad=requires)

    def layers(self, stage: int) -> range:
        """The layers of a pipeline stage."""
        return self.layout.stage_layers(self.shapes.layers)[stage]

    def is_last(self, stage: int) -> bool:
        """Whether a stage is the one with the head."""
        return stage == self.layout.pipeline - 1

    @property
    def tied_apart(self) -> bool:
        """Whether the head is the embedding, and the two are on different stages."""
        return self.shapes.tied and self.layout.pipeline > 1


def stage_pieces(job: Job, stage: int, rank: int) -> list[Piece]:
    """Returns what tensor-parallel rank `rank` of a stage holds, before ZeRO."""
    active = job.active
    found: list[Piece] = []
    if stage == 0:
        found += _embeddings(job, active[-1])
    for index in job.layers(stage):
        for linear in job.shapes.linears():
            found += _linear(job, linear, index, active[index], rank)
        found += _norms(job, index, active[index])
    if job.is_last(stage):
        found += _head(job, active[-1])
    return found


def _piece(
    job: Job,
    name: str,
    unit: str,
    elements: float,
    trained: float,
    backward: bool,
    copies: int = 1,
    partial: Partial = (),
) -> Piece:
    """A piece of `elements` of the model's own weights, of which `trained` train."""
    storage = job.storage
    return Piece(
        name,
        unit,
        weights=storage.weights * elements,
        gradients=storage.gradients * trained,
        states=(2 * storage.moments + storage.master) * trained,
        updated=storage.weights * trained,
        backward=backward,
        copies=copies,
        partial=partial,
    )


def _linear(job: Job, linear: Linear, index: int, active: Activity, rank: int) -> Iterator[Piece]:
    """The matrix, an adapter beside it, and the bias."""
    kind, storage, unit = job.method.training(index, linear.name), job.storage, f"layer {index}"
    part = shard(job.shapes, linear, kind, job.layout, rank)
    recomputed = job.checkpointing and active.output
    backward = active.input_gradient(linear.name) or recomputed
    name = f"{unit} {linear.name}"
    beside = isinstance(kind, LowRank)
    each = storage.adapters if beside else storage.gradients
    partial = tuple((each * elements, ranks) for elements, ranks in part.partial)
    trained, own = (0.0, ()) if beside else (part.trained, partial)
    yield _piece(job, name, unit, part.weights, trained, backward, part.copies, own)
    if beside:
        bytes_each = storage.adapters * part.trained
        states = 2 * storage.moments_of_adapters * part.trained
        yield Piece(
            f"{name} adapter", unit, bytes_each, bytes_each, states, bytes_each, partial=partial
        )
    if linear.bias:
        if linear.name in SPLIT_BY_INPUTS:
            yield _vector(job, f"{name} bias", unit, linear.outputs, recomputed)
        else:
            yield _split_bias(job, f"{name} bias", linear, part, unit, recomputed)


def _vector(job: Job, name: str, unit: str, elements: float, backward: bool) -> Piece:
    """A vector on every rank. Where tokens are split, a rank's gradient is of its own tokens."""
    trained, ranks = job.method.outer * elements, job.layout.tensor
    sums: Partial = ()
    if job.layout.sequence and ranks > 1 and trained:
        sums = ((job.storage.gradients * trained, ranks),)
    return _piece(job, name, unit, elements, trained, backward, ranks, sums)


def _split_bias(
    job: Job, name: str, linear: Linear, part: Shard, unit: str, backward: bool
) -> Piece:
    """A bias split like the rows of its matrix, and held by as many ranks."""
    elements = linear.outputs * part.weights / linear.weights
    trained = job.method.outer * elements
    sums: Partial = ()
    if part.copies > 1 and trained:
        sums = ((job.storage.gradients * trained, part.copies),)
    return _piece(job, name, unit, elements, trained, backward, part.copies, sums)


def _norms(job: Job, index: int, active: Activity) -> Iterator[Piece]:
    elements = job.shapes.norm_vectors * job.shapes.hidden
    recomputed = job.checkpointing and active.output
    for number, needed in ((1, active.input), (2, active.feed_forward_input)):
        name = f"layer {index} norm {number}"
        yield _vector(job, name, f"layer {index}", elements, needed or recomputed)


def _table(job: Job, name: str, unit: str, backward: bool) -> Piece:
    """Embedding or head, split by vocabulary."""
    elements = job.shapes.vocabulary * job.shapes.hidden / job.layout.tensor
    return _piece(job, name, unit, elements, job.method.outer * elements, backward)


def _embeddings(job: Job, last: Activity) -> Iterator[Piece]:
    """Token and position tables. Backward reads them only where the head is the same table."""
    is_head = job.shapes.tied and not job.tied_apart
    yield _table(job, "embedding", "embedding", is_head and last.output)
    if job.shapes.positions:
        elements = job.shapes.positions * job.shapes.hidden
        yield _vector(job, "positions", "embedding", elements, False)


def _head(job: Job, last: Activity) -> Iterator[Piece]:
    elements = job.shapes.norm_vectors * job.shapes.hidden
    yield _vector(job, "last norm", "head", elements, last.output)
    if not job.shapes.tied or job.tied_apart:
        yield _table(job, "head", "head", last.output)
