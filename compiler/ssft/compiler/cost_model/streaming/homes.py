"""Where tensors are while they are not on the device: in the host's memory or on the SSD."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

from ssft.compiler.byte_sizes import enough, readable, told_apart
from ssft.compiler.cost_model.streaming.gaps import Gap
from ssft.compiler.cost_model.streaming.machine import Machine
from ssft.compiler.cost_model.streaming.step import Step
from ssft.compiler.diagnostics import UserError

Home = Literal["host", "ssd"]


@dataclass(frozen=True)
class Homes:
    """The home of each tensor that needs one, and bytes of the buffer for what passes the host.

    There is a buffer for each direction if anything is on the SSD.
    """

    of: dict[int, Home]
    staging: float

    def bytes_in(self, step: Step, home: Home) -> float:
        """Bytes of the tensors that live there."""
        return sum(step.tensors[number].bytes for number, where in self.of.items() if where == home)


def homes(step: Step, found: Sequence[Gap], kept: AbstractSet[int], machine: Machine) -> Homes:
    """Returns homes for all that does not stay on the device.

    The host's memory is for what would keep the SSD busiest for each byte; of equals, for what is
    written, as an SSD wears out. Raises UserError if there is too little room.
    """
    traffic = _traffic(step, found, kept)

    def key(number: int) -> tuple[float, ...]:
        reads, writes = traffic[number]
        # Reading and writing do not wait for each other.
        busy = max(reads / machine.ssd_read, writes / machine.ssd_write)
        return -busy, -writes, -step.tensors[number].bytes, number

    order = sorted(traffic, key=key)
    total = sum(step.tensors[number].bytes for number in order)
    if total <= machine.host:
        return Homes(dict.fromkeys(order, "host"), 0.0)
    # Two tensors in each direction: one comes while the other one goes on.
    staging = 2 * max(step.tensors[number].bytes for number in order)
    room = machine.host - 2 * staging
    if room < 0 or total - room > machine.ssd:
        raise _too_little(total, staging, machine)
    chosen: dict[int, Home] = {}
    for number in order:
        size = step.tensors[number].bytes
        chosen[number] = "host" if size <= room else "ssd"
        room -= size if size <= room else 0.0
    made = Homes(chosen, staging)
    if made.bytes_in(step, "ssd") > machine.ssd:
        raise _too_little(total, staging, machine)
    return made


def _traffic(
    step: Step, found: Sequence[Gap], kept: AbstractSet[int]
) -> dict[int, tuple[float, float]]:
    """Reads and writes of the SSD, for each byte, by the tensors that have to be somewhere."""
    traffic: dict[int, tuple[float, float]] = {}
    for number, gap in enumerate(found):
        if number not in kept:
            loads, stores = traffic.get(gap.tensor, (0.0, 0.0))
            traffic[gap.tensor] = (loads + 1, stores + (gap.store > 0))
    for number, tensor in enumerate(step.tensors):
        if tensor.on_host and tensor.bytes and not tensor.temporary:
            loads, stores = traffic.get(number, (0.0, 0.0))
            # Its update reads and writes it; a weight is read once more, for the next step.
            traffic[number] = (loads + 1 + (tensor.kind == "trainable"), stores + 1)
    return traffic


def _too_little(total: float, staging: float, machine: Machine) -> UserError:
    needs, have = told_apart(total, machine.host + machine.ssd, decimal=True)
    both, buffers = (readable(size, decimal=True) for size in (total + 2 * staging, 2 * staging))
    return UserError(
        f"what does not stay on the device takes {needs}, and host and SSD have {have}",
        notes=[
            f"it fits into the host's memory without an SSD: --host {enough(total)}",
            f"or into {both} of both, of which the host needs {buffers} for buffers",
        ],
    )
