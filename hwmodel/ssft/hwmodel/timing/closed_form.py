"""The length of a step in closed form, for comparison with the event simulation.

    T = fill + sum over phases of max(T_compute, T_dma) + drain

It takes for granted that, within a phase, units work side by side and nobody ever waits for
anything but the busiest unit, and that phases follow each other without overlap. The simulation is
slower where dependences keep units waiting, and faster where phases overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssft.hwmodel.isa import Queue
from ssft.hwmodel.isa.program import PHASES
from ssft.hwmodel.timing.counters import Counters
from ssft.hwmodel.timing.event_loop import DMA, TRANSFER
from ssft.hwmodel.timing.stream import UNITS


@dataclass(frozen=True, slots=True)
class ClosedForm:
    """Cycles. `compute[p]` and `dma[p]` are those of phase ``PHASES[p]``.

    `compute`: of the phase's busiest compute unit. `dma`: of both DMA units, whose transfers share
    the DRAM and therefore add up, with the issues of the busier of the two.
    """

    fill: int
    compute: tuple[int, ...]
    dma: tuple[int, ...]
    drain: int

    @property
    def cycles(self) -> int:
        """The length of the step."""
        return self.fill + sum(map(max, self.compute, self.dma)) + self.drain


def closed_form(counters: Counters) -> ClosedForm:
    """The closed form of a simulated program."""
    s = counters.simulation
    occupied = s.work + s.issue_cycles
    compute, dma = [], []
    for phase in range(len(PHASES)):
        mine = counters.phase == phase
        busy = {queue: int(occupied[s.of(queue)][mine[s.of(queue)]].sum()) for queue in Queue}
        compute.append(max(busy[queue] for queue in Queue if queue not in DMA))
        flows = [int(s.work[s.of(queue)][mine[s.of(queue)]].sum()) for queue in DMA]
        dma.append(sum(flows) + max(busy[q] - flow for q, flow in zip(DMA, flows, strict=True)))
    return ClosedForm(_edge(counters, Queue.DMA_IN, 0), tuple(compute), tuple(dma),
                      _edge(counters, Queue.DMA_OUT, -1))  # fmt: skip


def _edge(counters: Counters, queue: Queue, position: int) -> int:
    """Cycles of the first load, or of the last store, with its latency: nothing hides it."""
    s = counters.simulation
    transfers = np.flatnonzero(s.kind[s.of(queue)] == TRANSFER)
    if not len(transfers):
        return 0
    return int(s.work[s.of(queue)][transfers[position]]) + s.issue_cycles + s.latency


def busiest_units(counters: Counters) -> list[tuple[str, int]]:
    """The units that bound the run from below, and their busy cycles, in descending order.

    ``dram`` stands for both DMA units: its cycles are those of all transfers, one after the other.
    """
    s = counters.simulation
    names = (UNITS[queue] for queue in Queue if queue > Queue.DMA_OUT)
    busy = {name: counters.units[name].busy for name in names}
    busy["dram"] = int(s.work[s.kind == TRANSFER].sum())
    return sorted(busy.items(), key=lambda entry: -entry[1])
