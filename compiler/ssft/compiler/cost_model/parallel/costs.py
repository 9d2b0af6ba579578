"""Costs of every rank of a parallel training step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType

from ssft.compiler.cost_model.activations import eager
from ssft.compiler.cost_model.flops import ADAMW_OPERATIONS, Flops, layer_flops, step_flops
from ssft.compiler.cost_model.parallel.kept import stage_activations
from ssft.compiler.cost_model.parallel.layout import Layout
from ssft.compiler.cost_model.parallel.megatron import tensor_transfers
from ssft.compiler.cost_model.parallel.pieces import ModelBytes
from ssft.compiler.cost_model.parallel.pipeline import pipeline_transfers, schedule_seconds
from ssft.compiler.cost_model.parallel.traffic import Transfer
from ssft.compiler.cost_model.parallel.transformer import Job, stage_pieces
from ssft.compiler.cost_model.parallel.zero import sharded_bytes, zero_transfers


@dataclass(frozen=True)
class RankCosts:
    """One rank, by its pipeline stage and its tensor-parallel rank; data-parallel peers are alike.

    Bytes: `model`, `activations` (saved), `temporaries`. `flops` of the products of a step, and of
    the update of what it owns.
    """

    stage: int
    tensor_rank: int
    model: ModelBytes
    activations: float
    temporaries: float
    transfers: tuple[Transfer, ...]
    flops: Flops

    @property
    def memory(self) -> dict[str, float]:
        """Bytes by purpose, with the keys of a report's ``memory_bytes``."""
        return {
            "weights": self.model.weights,
            "gathered_weights": self.model.gathered,
            "gradients": self.model.gradients,
            "optimizer_state": self.model.states,
            "saved_activations": self.activations,
            "temporaries": self.temporaries,
        }

    @property
    def total(self) -> float:
        """Bytes for all purposes at once."""
        return sum(self.memory.values())

    @property
    def sent(self) -> float:
        """Bytes sent in a step."""
        return sum(transfer.sent for transfer in self.transfers)


@dataclass(frozen=True)
class ParallelCosts:
    """A step's costs: one entry for each pipeline stage and tensor-parallel rank."""

    layout: Layout
    ranks: tuple[RankCosts, ...]

    @property
    def fullest(self) -> RankCosts:
        """The rank that needs the most memory."""
        return max(self.ranks, key=lambda rank: rank.total)

    @property
    def busiest(self) -> RankCosts:
        """The rank that sends the most."""
        return max(self.ranks, key=lambda rank: rank.sent)

    @property
    def sent_by_all(self) -> float:
        """Bytes that all ranks together send in a step."""
        return self.layout.data * sum(rank.sent for rank in self.ranks)

    def compute_seconds(self, flops: float) -> float:
        """Time of the products of a step and its update, at `flops` per second on each rank."""
        stages: dict[int, float] = {}
        for rank in self.ranks:
            time = rank.flops.products / self.layout.microbatches / flops
            stages[rank.stage] = max(stages.get(rank.stage, 0.0), time)
        update = max(rank.flops.update for rank in self.ranks) / flops
        return schedule_seconds(list(stages.values()), self.layout.microbatches) + update


def parallel_costs(job: Job, implementation: ModuleType = eager) -> ParallelCosts:
    """Returns the costs of a transformer's step under a layout.

    Raises UserError if the model or the batch cannot be split so.
    """
    job.layout.check(job.shapes, job.work.batch)
    stages = [_stage(job, stage, implementation) for stage in range(job.layout.pipeline)]
    return ParallelCosts(job.layout, tuple(rank for ranks in stages for rank in ranks))


def _stage(job: Job, stage: int, implementation: ModuleType) -> Iterator[RankCosts]:
    """The tensor-parallel ranks of a stage, which differ in what trains of their shares."""
    activations, temporaries = stage_activations(job, stage, implementation)
    products = _products(job, stage)
    for rank in range(job.layout.tensor):
        pieces = stage_pieces(job, stage, rank)
        transfers = [
            *zero_transfers(pieces, job.layout),
            *tensor_transfers(job, stage, pieces),
            *pipeline_transfers(job, stage),
        ]
        model = sharded_bytes(pieces, job.layout)
        flops = products + Flops(update=_update_flops(job, model))
        yield RankCosts(stage, rank, model, activations, temporaries, merged(transfers), flops)


def merged(transfers: Iterable[Transfer]) -> tuple[Transfer, ...]:
    """Returns the transfers that send anything, equal ones as one with their counts added."""
    counts: dict[Transfer, float] = {}
    for each in transfers:
        alone = Transfer(each.purpose, each.dimension, each.collective, each.size, each.ranks)
        if alone.sent:
            counts[alone] = counts.get(alone, 0.0) + each.count
    return tuple(
        Transfer(key.purpose, key.dimension, key.collective, key.size, key.ranks, count)
        for key, count in counts.items()
        if count
    )


def _products(job: Job, stage: int) -> Flops:
    """A stage's products, divided by its tensor-parallel ranks.

    The products of a low-rank adapter's factor that all ranks hold are divided, too, though each
    rank computes them.
    """
    layers = job.layers(stage)
    parts = [
        layer_flops(job.shapes, job.method, job.work, index, job.active[index]) for index in layers
    ]
    if job.is_last(stage):
        parts.append(_outside_layers(job))
    total = sum(parts, Flops())
    tensor = job.layout.tensor
    return Flops(
        total.forward / tensor, total.input_gradient / tensor, total.weight_gradient / tensor
    )


def _update_flops(job: Job, model: ModelBytes) -> float:
    """Of the elements whose states a rank has."""
    each = 2 * job.storage.moments + job.storage.master
    if job.method.adapters:
        each = 2 * job.storage.moments_of_adapters
    return ADAMW_OPERATIONS * model.states / each


def _outside_layers(job: Job) -> Flops:
    """The head's products."""
    whole = step_flops(job.shapes, job.method, job.work)
    layers = [
        layer_flops(job.shapes, job.method, job.work, index, active)
        for index, active in enumerate(job.active)
    ]
    inside = sum(layers, Flops())
    return Flops(
        whole.forward - inside.forward,
        whole.input_gradient - inside.input_gradient,
        whole.weight_gradient - inside.weight_gradient,
    )
