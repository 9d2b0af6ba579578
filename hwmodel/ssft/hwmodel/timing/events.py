"""Event simulation of a program: when every command runs, and what it waits for.

No values are computed, and there are no correction factors: each command takes the cycles of its
closed form (`durations`), and everything else follows from queue order, semaphores and the shared
DRAM as `event_loop` says.

More bandwidth or a faster unit can make a program *slower* under fair sharing, as in any system
whose resources are shared in order of arrival: a transfer that starts earlier may take bandwidth
from one that matters more. What cannot happen: that the time leaves the interval between the runs
in which each DMA unit always has all (``none``) and always half (``halves``) of the bandwidth. Both
of these are monotone in every duration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ssft.hwmodel.isa import Command, Phase, Program, Queue
from ssft.hwmodel.timing.deadlock import check_semaphores, deadlock
from ssft.hwmodel.timing.dma import latency_cycles
from ssft.hwmodel.timing.durations import shape_cycles
from ssft.hwmodel.timing.event_loop import CONTROL, FENCE, EventLoop, Sharing, kinds
from ssft.hwmodel.timing.steady_state import SteadyState
from ssft.hwmodel.timing.stream import CommandStream, flatten

if TYPE_CHECKING:
    from ssft.hwmodel.config import Machine

Durations = Callable[[Program, "Machine", list[Command], list[Phase]], list[int]]


@dataclass(slots=True, eq=False, repr=False)
class Simulation:
    """One timed run. Arrays have one int64 per command, in the order of `stream`, in cycles.

    `issue` <= decoded = `issue` + `issue_cycles` <= `start` <= `leave` <= `complete`. `work` is
    what the command takes on its unit alone, so ``leave - start - work`` is what sharing or a fence
    cost. `producer` is the command whose post ended the wait between decoded and start, or -1.
    `reached[s]` holds each value of semaphore `s` with the command that brought it there, in order.
    `order` lists the commands as they left their units: every command after all that it depends on.
    `cycles` is when the last command is complete. `skipped` commands were not simulated, but follow
    from earlier ones.
    """

    program: Program
    machine: Machine
    stream: CommandStream
    issue: np.ndarray
    start: np.ndarray
    leave: np.ndarray
    complete: np.ndarray
    work: np.ndarray
    producer: np.ndarray
    kind: np.ndarray
    reached: list[list[tuple[int, int]]]
    order: np.ndarray
    issue_cycles: int
    latency: int
    cycles: int
    skipped: int = 0

    @property
    def seconds(self) -> float:
        """Time of the program in seconds."""
        return self.cycles / self.machine.clock.frequency

    def of(self, queue: Queue) -> slice:
        """The commands of a queue, as a slice of every array."""
        return self.stream.of(queue)


def simulate(
    program: Program,
    machine: Machine,
    *,
    sharing: Sharing = "fair",
    durations: Durations = shape_cycles,
    stitch: bool = True,
) -> Simulation:
    """Times a program on a machine.

    With `stitch`, repetitions of a period in which the machine comes back to the same state are not
    simulated again (`steady_state`); all figures are the same without.

    Raises `MachineError` for a deadlock, naming the commands that are blocked, and for a semaphore
    that does not exist.
    """
    stream = flatten(program)
    check_semaphores(stream)
    of_shape = np.array(
        durations(program, machine, stream.shapes, stream.shape_phases), dtype=np.int64
    )
    work = of_shape[stream.shape] if len(stream) else of_shape
    issue_cycles, latency = machine.command.issue_cycles, latency_cycles(machine)
    loop = EventLoop(stream, work.tolist(), issue_cycles, latency, sharing)
    steady = SteadyState(stream, loop) if stitch else None
    times = loop.run(steady)
    if loop.head != loop.stop:
        raise deadlock(program, stream, loop.head, loop.count)
    arrays = {
        name: np.array(getattr(times, name), dtype=np.int64)
        for name in ("issue", "start", "leave", "complete", "producer", "order")
    }
    kind = np.array(kinds(stream), dtype=np.int64)
    return Simulation(
        program=program,
        machine=machine,
        stream=stream,
        work=np.where((kind == CONTROL) | (kind == FENCE), 0, work),
        kind=kind,
        reached=times.reached,
        issue_cycles=issue_cycles,
        latency=latency,
        cycles=int(arrays["complete"].max(initial=0)),
        skipped=steady.skipped if steady is not None else 0,
        **arrays,
    )
