"""Costs of a compiled plan under data, tensor and pipeline parallelism and ZeRO.

One run of the plan is one microbatch of one replica.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from ssft.compiler.cost_model.flops import Flops
from ssft.compiler.cost_model.parallel.costs import ParallelCosts, RankCosts, merged
from ssft.compiler.cost_model.parallel.layout import Dimension, Layout
from ssft.compiler.cost_model.parallel.pieces import Piece
from ssft.compiler.cost_model.parallel.plan_facts import PlanFacts, PlanParameter, cuts
from ssft.compiler.cost_model.parallel.traffic import Purpose, Transfer
from ssft.compiler.cost_model.parallel.zero import sharded_bytes, zero_transfers
from ssft.compiler.diagnostics import UserError


def plan_costs(facts: PlanFacts, layout: Layout) -> ParallelCosts:
    """Returns the costs of a plan's step under a layout.

    Pipeline stages are cut where few bytes cross (`plan_facts.cuts`). A parameter is on every stage
    that reads it in the forward pass. Tensor parallelism splits the plan's blocks (`plan_blocks`),
    evenly; what lies outside of them, such as embedding, head and norms, every rank has whole.
    Temporaries are not counted; products of the backward pass are shared out like those of the
    forward pass.

    Raises UserError if the step cannot be cut or split so.
    """
    _check(facts, layout)
    ends = [*cuts(facts, layout.pipeline), len(facts.work) - 1]
    stages = [_Stage(facts, layout, ends, number) for number in range(layout.pipeline)]
    ranks = [stage.rank(rank) for stage in stages for rank in range(layout.tensor)]
    return ParallelCosts(layout, tuple(ranks))


def _check(facts: PlanFacts, layout: Layout) -> None:
    if layout.sequence:
        raise UserError(
            "sequence parallelism is not covered for plans",
            notes=["give the shapes instead: a model's name, or --config FILE.json"],
            exit_code=2,
        )
    if layout.tensor == 1:
        return
    if not facts.blocks:
        raise UserError(f"nothing in the step of '{facts.name}' can be split over ranks")
    for block in facts.blocks:
        if block.units % layout.tensor:
            raise UserError(
                f"'{facts.name}' has a block of {block.units} units, which cannot be split into "
                f"{layout.tensor} equal parts",
                exit_code=2,
            )


class _Stage:
    """One pipeline stage: the positions of the forward pass from `first` to `last`."""

    def __init__(self, facts: PlanFacts, layout: Layout, ends: list[int], number: int) -> None:
        self.facts, self.layout, self.ends, self.number = facts, layout, ends, number
        self.first, self.last = (ends[number - 1] + 1 if number else 0), ends[number]
        self.held = [p for p in facts.parameters if number in self.stages(p)]

    def stages(self, parameter: PlanParameter) -> set[int]:
        """The stages that read a parameter first and last; the first one if none does."""
        return {bisect_left(self.ends, max(at, 0)) for at in (parameter.first, parameter.last)}

    def has(self, position: int) -> bool:
        """Whether an operation of the forward pass is on this stage."""
        return self.first <= position <= self.last

    def rank(self, number: int) -> RankCosts:
        """One of its tensor-parallel ranks, which are alike."""
        pieces = [self.piece(parameter) for parameter in self.held]
        model = sharded_bytes(pieces, self.layout)
        states = sum(parameter.states for parameter in self.facts.parameters)
        update = self.facts.flops["update"] * (model.states / states if states else 0.0)
        transfers = [
            *zero_transfers(pieces, self.layout),
            *self.boundaries(),
            *self.sums(),
            *self.shared(),
        ]
        return RankCosts(
            self.number,
            number,
            model,
            activations=self._share(self.facts.saved, self.facts.saved_inside)
            * self.layout.in_flight(self.number),
            temporaries=0.0,
            transfers=merged(transfers),
            flops=self.products() + Flops(update=update),
        )

    def _share(self, values: tuple[int, ...], inside: tuple[int, ...]) -> float:
        """The sum over the stage, of which a rank has its part of what lies inside of blocks."""
        part = slice(self.first, self.last + 1)
        within = sum(inside[part])
        return sum(values[part]) - within + within / self.layout.tensor

    def products(self) -> Flops:
        """A rank's products of all microbatches."""
        total = sum(self.facts.work)
        done = self._share(self.facts.work, self.facts.work_inside)
        share = self.layout.microbatches * done / total if total else 0.0
        phases = ("forward", "input_gradient", "weight_gradient")
        return Flops(**{phase: self.facts.flops[phase] * share for phase in phases})

    def piece(self, parameter: PlanParameter) -> Piece:
        """A parameter, or a rank's part of it. Weights and gradients of a plan have one type."""
        split = any(parameter.index in block.parameters for block in self.facts.blocks)
        parts = self.layout.tensor if split else 1
        return Piece(
            parameter.name,
            parameter.name,
            parameter.bytes / parts,
            parameter.gradients / parts,
            parameter.states / parts,
            parameter.gradients / parts,
            forward=parameter.first >= 0,
            backward=parameter.backward,
            copies=1 if split else self.layout.tensor,
        )

    def sums(self) -> Iterator[Transfer]:
        """What tensor-parallel ranks sum: outputs of blocks, and gradients of their inputs."""
        readers = {parameter.index: parameter for parameter in self.facts.parameters}
        for block in self.facts.blocks:
            for position, size in block.forward:
                if self.has(position):
                    yield self._transfer("activations", "tensor", "all-reduce", size)
            for position, size, matrices in block.backward:
                needed = any(readers[index].backward for index in matrices)
                if self.has(position) and needed:
                    yield self._transfer("input gradients", "tensor", "all-reduce", size)

    def boundaries(self) -> Iterator[Transfer]:
        """What goes on to the next stage, and back if something before trains."""
        if self.number < self.layout.pipeline - 1:
            size = self.facts.crossing[self.last]
            yield self._transfer("activations", "pipeline", "point-to-point", size)
        trains_before = any(
            p.gradients and min(self.stages(p)) < self.number for p in self.facts.parameters
        )
        if self.number and trains_before:
            size = self.facts.crossing[self.first - 1]
            yield self._transfer("input gradients", "pipeline", "point-to-point", size)

    def _transfer(
        self, purpose: Purpose, dimension: Dimension, collective: str, size: float
    ) -> Transfer:
        """One collective a microbatch."""
        ranks, count = self.layout.extent(dimension), self.layout.microbatches
        return Transfer(purpose, dimension, collective, size, ranks, count)

    def shared(self) -> Iterator[Transfer]:
        """Gradients of parameters that two stages read, of which both have an addend."""
        for parameter in self.held:
            if len(self.stages(parameter)) == 2:
                size = self.piece(parameter).gradients
                yield Transfer("gradients", "pipeline", "all-reduce", size, 2)
