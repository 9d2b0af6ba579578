"""How the ranks share one training step: data, tensor and pipeline parallelism, and ZeRO."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ssft.compiler.cost_model.architecture import Architecture
from ssft.compiler.diagnostics import UserError

Dimension = Literal["tensor", "data", "pipeline"]
DIMENSIONS: tuple[Dimension, ...] = ("tensor", "data", "pipeline")
"""Kinds of groups of ranks, those of neighbouring ranks first, as in Megatron-LM."""

SCHEDULES = ("1f1b", "gpipe")
"""``"1f1b"``: PipeDream-Flush, one forward pass, one backward pass (arXiv 2104.04473, 2.2.1).
``"gpipe"``: all forward passes first (arXiv 1811.06965)."""

PLACEMENTS = ("dealt", "front")
"""Where the selected channels of a matrix split along them lie: ``"dealt"`` out over the ranks as
evenly as whole units allow, or in ``"front"`` of the axis, where one permutation of the whole axis
puts them, on as few ranks as hold them."""


@dataclass(frozen=True)
class Layout:
    """Degrees of parallelism; data x tensor x pipeline ranks in all.

    `zero` is the ZeRO stage over the data-parallel ranks (arXiv 1910.02054, section 5): 0 shards
    nothing, 1 the optimizer's states, 2 gradients, too, 3 weights, too. `sequence` splits the
    tokens between tensor-parallel regions (arXiv 2205.05198, 4.2.2). `microbatches` are the parts
    into which each replica's batch is cut, one backward pass each.
    """

    data: int = 1
    tensor: int = 1
    pipeline: int = 1
    zero: int = 0
    sequence: bool = False
    microbatches: int = 1
    schedule: str = "1f1b"
    placement: str = "dealt"

    def __post_init__(self) -> None:
        for name in ("data", "tensor", "pipeline", "microbatches"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} {getattr(self, name)} is not at least 1", exit_code=2)
        if self.zero not in (0, 1, 2, 3):
            raise UserError(f"there is no ZeRO stage {self.zero}", notes=["0 to 3"], exit_code=2)
        if self.schedule not in SCHEDULES or self.placement not in PLACEMENTS:
            raise UserError(f"no schedule '{self.schedule}' or placement '{self.placement}'")

    @property
    def ranks(self) -> int:
        """All ranks."""
        return self.data * self.tensor * self.pipeline

    def extent(self, dimension: Dimension) -> int:
        """Ranks of a group of one kind."""
        return int(getattr(self, dimension))

    def span(self, dimension: Dimension) -> int:
        """Consecutive ranks among which a group of one kind lies, members of others between them.

        Tensor-parallel ranks are neighbours, then come the data-parallel ones, then the stages.
        """
        span = 1
        for each in DIMENSIONS:
            span *= self.extent(each)
            if each == dimension:
                return span
        raise AssertionError("unreachable")

    def stage_layers(self, layers: int) -> list[range]:
        """The layers of each pipeline stage, the first ones taking what does not divide."""
        each, more = divmod(layers, self.pipeline)
        sizes = [each + (stage < more) for stage in range(self.pipeline)]
        starts = [sum(sizes[:stage]) for stage in range(self.pipeline)]
        return [range(start, start + size) for start, size in zip(starts, sizes, strict=True)]

    def in_flight(self, stage: int) -> int:
        """Microbatches whose activations a stage keeps at once, at most.

        1F1B: as many as there are stages from it to the last (arXiv 2104.04473, 2.2.1).
        """
        if self.schedule == "gpipe":
            return self.microbatches
        return min(self.microbatches, self.pipeline - stage)

    @property
    def bubble(self) -> float:
        """Idle time of a rank over its busy time, for equal stages: (p - 1) / m, both schedules."""
        return (self.pipeline - 1) / self.microbatches

    def check(self, shapes: Architecture, batch: int) -> None:
        """Raises UserError if a model of these shapes and this batch cannot be split so."""
        if self.pipeline > shapes.layers:
            raise UserError(
                f"{shapes.layers} layers cannot be split into {self.pipeline} stages", exit_code=2
            )
        for what, size in (
            ("heads", shapes.heads),
            ("feed-forward channels", shapes.feed_forward),
            ("vocabulary entries", shapes.vocabulary),
        ):
            if size % self.tensor:
                raise UserError(
                    f"{size} {what} cannot be split into {self.tensor} equal parts",
                    notes=["choose a number of tensor-parallel ranks that divides it"],
                    exit_code=2,
                )
        groups = shapes.key_value_heads
        if groups % self.tensor and self.tensor % groups:
            raise UserError(
                f"{groups} key/value heads can neither be split over nor repeated on "
                f"{self.tensor} ranks",
                exit_code=2,
            )
        check_batch(batch, self.microbatches)


def check_batch(batch: int, microbatches: int) -> None:
    """Raises UserError if a batch cannot be cut into equal microbatches."""
    if batch % microbatches:
        raise UserError(
            f"a batch of {batch} cannot be cut into {microbatches} equal microbatches",
            notes=["give a number of microbatches that divides the batch"],
            exit_code=2,
        )
