"""A step as streaming sees it: segments that run one after another, and tensors that they use.

Nothing here knows layers: a tensor is needed where something reads it, and may be elsewhere for the
rest of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["frozen", "trainable", "state", "activation", "gradient"]
KINDS: tuple[Kind, ...] = ("frozen", "trainable", "state", "activation", "gradient")
TEMPORARY: frozenset[Kind] = frozenset({"activation", "gradient"})
"""Kinds that a step makes and uses up; the others are there from step to step."""


@dataclass(frozen=True)
class Segment:
    """Operations that use the same tensors.

    `working` is the most bytes on the device during the segment that cannot be anywhere else:
    temporaries that are no `Tensor`.
    """

    phase: Literal["forward", "backward", "update"]
    flops: float
    working: float


@dataclass(frozen=True)
class Tensor:
    """Bytes that need to be on the device during the segments `uses`, ascending, and only then.

    `written`: those of the uses that change it. What is made in a step is made by its first use.
    `on_host`: the host's optimizer uses it. A weight's copy on the device is then out of date after
    the step; a gradient goes to the host after its last use.
    """

    name: str
    kind: Kind
    bytes: float
    uses: tuple[int, ...]
    written: tuple[int, ...] = ()
    on_host: bool = False

    @property
    def temporary(self) -> bool:
        """Whether a step makes it and uses it up."""
        return self.kind in TEMPORARY


@dataclass(frozen=True)
class Update:
    """What the optimizer does to one parameter, in a segment of its own.

    Numbers of tensors: its `gradients` are read; its `states` and the `weight`, read and written.
    """

    segment: int
    elements: float
    gradients: tuple[int, ...]
    states: tuple[int, ...]
    weight: int


@dataclass(frozen=True)
class Step:
    """A step. `fixed` bytes are always on the device: the batch, and what is too small to move."""

    name: str
    method: str
    segments: tuple[Segment, ...]
    tensors: tuple[Tensor, ...]
    updates: tuple[Update, ...]
    fixed: float

    @property
    def flops(self) -> float:
        """Floating-point operations of all segments."""
        return sum(segment.flops for segment in self.segments)

    def bytes_of(self, kind: Kind) -> float:
        """Bytes of all tensors of a kind."""
        return sum(tensor.bytes for tensor in self.tensors if tensor.kind == kind)


def on_host(step: Step) -> Step:
    """Returns the step with its optimizer on the host, as in ZeRO-Offload (arXiv 2101.06840).

    States are never on the device. Gradients leave it; what was updated comes with its next use.
    """
    tensors = list(step.tensors)
    segments = list(step.segments)
    for update in step.updates:
        for number in (update.weight, *update.states, *update.gradients):
            tensor = tensors[number]
            uses = tuple(use for use in tensor.uses if use != update.segment)
            written = uses[:1] if tensor.temporary else ()
            tensors[number] = replace(tensor, uses=uses, written=written, on_host=True)
        segments[update.segment] = replace(segments[update.segment], flops=0.0)
    return replace(step, segments=tuple(segments), tensors=tuple(tensors))


def zeroth_order(step: Step) -> Step:
    """Returns a step of MeZO as ZO2 runs it (arXiv 2503.12668): the forward pass alone, twice.

    Both passes of a segment run while its weights are there, and the update of the step before is
    made as they come, with noise made anew from its seed: so what trains travels once each way.
    There are no gradients, no states, and nothing is saved; temporaries are counted twice.
    """
    ends = [number for number, segment in enumerate(step.segments) if segment.phase == "forward"]
    last = ends[-1] + 1
    inner = _short_lived(step, last)
    segments = tuple(
        replace(segment, flops=2 * segment.flops, working=2 * (segment.working + inner[number]))
        for number, segment in enumerate(step.segments[:last])
    )
    tensors = []
    for tensor in step.tensors:
        uses = tuple(use for use in tensor.uses if use < last)
        if tensor.kind in ("frozen", "trainable") and uses:
            written = uses[-1:] if tensor.kind == "trainable" else ()
            tensors.append(replace(tensor, uses=uses, written=written))
    return replace(step, segments=segments, tensors=tuple(tensors), updates=())


def _short_lived(step: Step, last: int) -> Sequence[float]:
    """Bytes by segment of what the forward pass reads of what it would otherwise save."""
    found = [0.0] * last
    for tensor in step.tensors:
        if tensor.kind == "activation":
            uses = [use for use in tensor.uses if use < last]
            for number in range(uses[0], uses[-1] + 1):
                found[number] += tensor.bytes
    return found
