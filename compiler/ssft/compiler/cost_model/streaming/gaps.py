"""When tensors need not be on the device: gaps between visits, and which of them to bridge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from ssft.compiler.cost_model.streaming.machine import Machine
from ssft.compiler.cost_model.streaming.step import Step, Tensor

Visit = tuple[int, int]
"""First and last segment of a stretch during which a tensor is on the device."""


NEAR = 1 / 256
"""Of a step's operations: a fraction of a layer's in models of up to a hundred."""


@dataclass(frozen=True)
class Gap:
    """From the end of a visit, segment `after`, to the next one, which begins with `before`.

    It leads over the end of the step if `before` is not later. Unless the tensor stays on the
    device, `load` bytes come and `store` bytes go.
    """

    tensor: int
    after: int
    before: int
    load: float
    store: float

    @property
    def wraps(self) -> bool:
        """Whether it leads from one step to the next."""
        return self.before <= self.after

    def slices(self, count: int) -> list[slice]:
        """The segments strictly between the visits, of a step of `count`."""
        if self.wraps:
            return [slice(self.after + 1, count), slice(0, self.before)]
        return [slice(self.after + 1, self.before)]


def visits(step: Step) -> list[list[Visit]]:
    """Returns each tensor's visits; uses with less than `NEAR` of the step between are one."""
    elapsed = [0.0, *accumulate(segment.flops for segment in step.segments)]
    near = NEAR * elapsed[-1]
    return [_visits(tensor.uses, elapsed, near) for tensor in step.tensors]


def _visits(uses: Sequence[int], elapsed: Sequence[float], near: float) -> list[Visit]:
    found: list[Visit] = []
    for use in uses:
        last = found[-1][1] if found else use
        if found and (use <= last + 1 or elapsed[use] - elapsed[last + 1] < near):
            found[-1] = (found[-1][0], use)
        else:
            found.append((use, use))
    return found


def gaps(step: Step, stays: Sequence[Sequence[Visit]]) -> list[Gap]:
    """Returns the gaps between visits that a tensor may spend on the device or elsewhere."""
    return [
        gap
        for number, tensor in enumerate(step.tensors)
        for gap in _gaps(number, tensor, stays[number])
    ]


def _gaps(number: int, tensor: Tensor, stays: Sequence[Visit]) -> Iterator[Gap]:
    for here, following in zip(stays, [*stays[1:], *stays[:1]], strict=True):
        last = here is stays[-1]
        if last and (tensor.temporary or tensor.on_host):
            return
        changed = any(here[0] <= use <= here[1] for use in tensor.written)
        yield Gap(number, here[1], following[0], tensor.bytes, tensor.bytes * changed)


def occupied(step: Step, stays: Sequence[Sequence[Visit]]) -> np.ndarray:
    """Returns the bytes that are on the device during each segment whatever is streamed."""
    count = len(step.segments)
    edges = np.zeros(count + 1)
    for tensor, all_stays in zip(step.tensors, stays, strict=True):
        for first, last in all_stays:
            edges[first] += tensor.bytes
            edges[last + 1] -= tensor.bytes
    return np.cumsum(edges[:-1]) + [step.fixed + segment.working for segment in step.segments]


def bridged(
    found: Sequence[Gap],
    base: np.ndarray,
    seconds: np.ndarray,
    machine: Machine,
    limit: float,
    *,
    from_ssd: bool = False,
) -> set[int]:
    """Returns the numbers of the gaps over which tensors stay on the device, within `limit` bytes.

    Greedy: most seconds of transfers saved for each byte and second of the device's memory first.
    With `from_ssd`, transfers are from and to the SSD, and tensors come first that can stay all the
    time: those need no home. `seconds` are the segments' computing times, `base` is what `occupied`
    says.
    """
    profile, kept = base.copy(), set[int]()
    for group in _order(found, seconds, machine, from_ssd):
        parts = [
            (part, found[number].load)
            for number in group
            if number not in kept
            for part in found[number].slices(len(base))
            if part.start < part.stop
        ]
        # Gaps of one tensor do not overlap, so each part has room if all of them have.
        if all(profile[part].max() + size <= limit for part, size in parts):
            for part, size in parts:
                profile[part] += size
            kept.update(group)
    return kept


def _order(
    found: Sequence[Gap], seconds: np.ndarray, machine: Machine, from_ssd: bool
) -> list[list[int]]:
    """Sets of gaps that are bridged together or not at all, the best first."""
    total = np.array([0.0, *np.cumsum(seconds)])
    spans = [
        sum(float(total[part.stop] - total[part.start]) for part in gap.slices(len(seconds)))
        for gap in found
    ]

    def saved(gap: Gap) -> float:
        once = gap.load / machine.to_device + gap.store / machine.to_host
        if from_ssd:
            once += gap.load / machine.ssd_read + gap.store / machine.ssd_write
        return once

    def key(group: Sequence[int]) -> tuple[float, int]:
        held = sum(found[number].load * (spans[number] + 1e-12) for number in group)
        return -sum(saved(found[number]) for number in group) / held, group[0]

    single = sorted(([number] for number in range(len(found))), key=key)
    if not from_ssd:
        return single
    whole: dict[int, list[int]] = {}
    for number, gap in enumerate(found):
        whole.setdefault(gap.tensor, []).append(number)
    return [*sorted(whole.values(), key=key), *single]
