"""A streaming schedule: which transfer runs when, in relation to the segments of the step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ssft.compiler.cost_model.streaming.gaps import Visit
from ssft.compiler.cost_model.streaming.homes import Homes
from ssft.compiler.cost_model.streaming.machine import Machine
from ssft.compiler.cost_model.streaming.step import Step

Queue = Literal["to_device", "to_host", "ssd_read", "ssd_write", "host_update"]
QUEUES: tuple[Queue, ...] = ("to_device", "to_host", "ssd_read", "ssd_write", "host_update")
"""What works beside the device's computing; each does one thing at a time, in order."""


@dataclass(frozen=True)
class Transfer:
    """`tensor` on a queue, from `start` to `end` seconds.

    `slot`: to the device, the segment with whose slot memory is taken for it; to the host, the
    segment whose end it follows; elsewhere, the segment that it is for.
    """

    queue: Queue
    tensor: int
    bytes: float
    start: float
    end: float
    slot: int
    needed: int | None = None


@dataclass(frozen=True)
class Schedule:
    """All that happens in a step, in seconds from its start.

    Segment i computes from `begins[i]` to `ends[i]`. Its *slot* lasts from `slots[i]`, when the
    segment before it has ended and memory is free, until it ends itself. `kept`: visits of tensors
    that stay from one to the next count as one, in `stays`; such as lead over the step's end begin
    at segment 0 or end with the last one, and are `resident` from its start.
    """

    step: Step
    machine: Machine
    stays: tuple[tuple[Visit, ...], ...]
    resident: frozenset[int]
    remains: frozenset[int]
    homes: Homes
    slots: Sequence[float]
    begins: Sequence[float]
    ends: Sequence[float]
    transfers: tuple[Transfer, ...]

    @property
    def seconds(self) -> float:
        """When everything has ended."""
        return max([self.ends[-1], *(transfer.end for transfer in self.transfers)])

    @property
    def compute_seconds(self) -> float:
        """Seconds in which the device computes."""
        return self.step.flops / self.machine.compute

    def busy(self) -> dict[Queue, float]:
        """Seconds of work of each queue."""
        found: dict[Queue, float] = dict.fromkeys(QUEUES, 0.0)
        for transfer in self.transfers:
            found[transfer.queue] += transfer.end - transfer.start
        return found

    def moved(self) -> dict[Queue, float]:
        """Bytes, or elements of the optimizer, that each queue has worked on."""
        found: dict[Queue, float] = dict.fromkeys(QUEUES, 0.0)
        for transfer in self.transfers:
            found[transfer.queue] += transfer.bytes
        return found


def share_of(part: float, whole: float) -> float:
    """`part` of `whole`; 0 of nothing, as in a step that neither computes nor moves anything."""
    return part / whole if whole else 0.0
