"""Costs of a compiled plan under data and pipeline parallelism and ZeRO.

One run of the plan is one microbatch of one replica.
"""

from __future__ import annotations

from bisect import bisect_left

from ssft.compiler.cost_model.flops import Flops
from ssft.compiler.cost_model.parallel.costs import ParallelCosts, RankCosts, merged
from ssft.compiler.cost_model.parallel.layout import Layout
from ssft.compiler.cost_model.parallel.pieces import Piece
from ssft.compiler.cost_model.parallel.plan_facts import PlanFacts, PlanParameter, cuts
from ssft.compiler.cost_model.parallel.traffic import Transfer
from ssft.compiler.cost_model.parallel.zero import sharded_bytes, zero_transfers
from ssft.compiler.diagnostics import UserError


def plan_costs(facts: PlanFacts, layout: Layout) -> ParallelCosts:
    """Returns the costs of a plan's step under a layout.

    Pipeline stages are cut where few bytes cross (`plan_facts.cuts`). A parameter is on every stage
    that reads it in the forward pass. Temporaries are not counted; products of the backward pass
    are shared out like those of the forward pass.

    Raises UserError for tensor parallelism, and if the step cannot be cut.
    """
    if layout.tensor > 1:
        raise UserError(
            "tensor parallelism is not covered for plans",
            notes=["give the shapes instead: a model's name, or --config FILE.json"],
            exit_code=2,
        )
    ends = [*cuts(facts, layout.pipeline), len(facts.work) - 1]
    ranks = [_stage(facts, layout, ends, stage) for stage in range(layout.pipeline)]
    return ParallelCosts(layout, tuple(ranks))


def _stage(facts: PlanFacts, layout: Layout, ends: list[int], stage: int) -> RankCosts:
    first, last = (ends[stage - 1] + 1 if stage else 0), ends[stage]
    held = [p for p in facts.parameters if stage in _stages(p, ends)]
    pieces = [_piece(parameter) for parameter in held]
    model = sharded_bytes(pieces, layout)
    transfers = [*zero_transfers(pieces, layout), *_boundaries(facts, layout, ends, stage)]
    work = sum(facts.work)
    share = layout.microbatches * sum(facts.work[first : last + 1]) / work if work else 0.0
    states = sum(parameter.states for parameter in facts.parameters)
    update = facts.flops["update"] * (model.states / states if states else 0.0)
    phases = ("forward", "input_gradient", "weight_gradient")
    return RankCosts(
        stage,
        0,
        model,
        activations=sum(facts.saved[first : last + 1]) * layout.in_flight(stage),
        temporaries=0.0,
        transfers=merged([*transfers, *_shared(facts, layout, ends, stage)]),
        flops=Flops(**{phase: facts.flops[phase] * share for phase in phases}, update=update),
    )


def _stages(parameter: PlanParameter, ends: list[int]) -> set[int]:
    """The stages that read a parameter first and last; the first one if none does."""
    return {bisect_left(ends, max(at, 0)) for at in (parameter.first, parameter.last)}


def _piece(parameter: PlanParameter) -> Piece:
    updated = parameter.gradients  # Weights and gradients of a plan have one type.
    return Piece(
        parameter.name,
        parameter.name,
        parameter.bytes,
        parameter.gradients,
        parameter.states,
        updated,
        forward=parameter.first >= 0,
        backward=parameter.backward,
    )


def _boundaries(facts: PlanFacts, layout: Layout, ends: list[int], stage: int) -> list[Transfer]:
    """What goes on to the next stage, and back if something before trains."""
    count, found = layout.microbatches, []
    if stage < layout.pipeline - 1:
        size = facts.crossing[ends[stage]]
        found.append(
            Transfer("activations", "pipeline", "point-to-point", size, layout.pipeline, count)
        )
    trains_before = any(p.gradients and min(_stages(p, ends)) < stage for p in facts.parameters)
    if stage and trains_before:
        size = facts.crossing[ends[stage - 1]]
        found.append(
            Transfer("input gradients", "pipeline", "point-to-point", size, layout.pipeline, count)
        )
    return found


def _shared(facts: PlanFacts, layout: Layout, ends: list[int], stage: int) -> list[Transfer]:
    """Gradients of parameters that two stages read, which both have an addend of."""
    return [
        Transfer("gradients", "pipeline", "all-reduce", parameter.gradients, 2)
        for parameter in facts.parameters
        if stage in (stages := _stages(parameter, ends)) and len(stages) == 2
    ]
