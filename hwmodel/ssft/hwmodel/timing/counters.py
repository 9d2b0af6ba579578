"""Exactly conserved counts of a run: cycles by unit, operations, bytes by memory and purpose.

Counts are Python integers, summed from int64 arrays with one entry per command, so nothing rounds:
the parts of every sum are equal to the sum to the last unit.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from ssft.hwmodel.isa import Queue
from ssft.hwmodel.isa.program import PHASES
from ssft.hwmodel.timing.critical_path import Segment, critical_path
from ssft.hwmodel.timing.event_loop import DMA
from ssft.hwmodel.timing.events import Simulation
from ssft.hwmodel.timing.stream import UNITS
from ssft.hwmodel.timing.sums import covered_length, sums_by
from ssft.hwmodel.timing.traffic import Traffic, buffers_of, scratchpad_traffic
from ssft.hwmodel.timing.updates import Updated, updated_parameters
from ssft.hwmodel.timing.work import Work, command_work

DIRECTIONS = {Queue.DMA_IN: "read", Queue.DMA_OUT: "write"}
FIELDS = tuple(field.name for field in fields(Work))


@dataclass(frozen=True, slots=True)
class UnitTime:
    """What a unit did with the cycles of a run; the four add up to all of them.

    `busy`: decoding or working. `wait_semaphore`: its next command waited for a post of an on-chip
    unit. `wait_memory`: it waited for a post of a DMA unit, a transfer was slowed by one in the
    other direction, or a fence waited for outstanding transfers. `idle`: it had no command left.
    """

    busy: int
    wait_semaphore: int
    wait_memory: int
    idle: int

    @property
    def total(self) -> int:
        """All cycles of the run."""
        return self.busy + self.wait_semaphore + self.wait_memory + self.idle


def unit_times(simulation: Simulation) -> dict[str, UnitTime]:
    """The cycles of each unit, by unit name."""
    s = simulation
    waited = s.start - s.issue - s.issue_cycles
    stretched = s.leave - s.start - s.work
    producer_queue = np.where(s.producer >= 0, s.stream.queue[s.producer], -1)
    for_memory = np.isin(producer_queue, DMA)
    found = {}
    for queue in Queue:
        mine = s.of(queue)
        count = mine.stop - mine.start
        end = int(s.leave[mine.stop - 1]) if count else 0
        found[UNITS[queue]] = UnitTime(
            busy=int(s.work[mine].sum()) + s.issue_cycles * count,
            wait_semaphore=int(waited[mine][~for_memory[mine]].sum()),
            wait_memory=int(waited[mine][for_memory[mine]].sum() + stretched[mine].sum()),
            idle=s.cycles - end,
        )
    return found


class Counters:
    """Counts of a simulated run, by command, operation, phase and in total.

    `per_command` maps each field of `Work`, and ``commands``, to an int64 array in stream order.
    `phase` is each command's phase, a position in `PHASES`; `buffer` the number of the DRAM buffer
    that a DMA command's address is in, -1 if none.
    """

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = s = simulation
        stream = s.stream
        pairs = zip(stream.shapes, stream.shape_phases, strict=True)
        works = [command_work(s.program, s.machine, *pair) for pair in pairs]
        self.per_command: dict[str, np.ndarray] = {}
        for name in FIELDS:
            of_shape = np.array([getattr(work, name) for work in works], dtype=np.int64)
            self.per_command[name] = of_shape[stream.shape]
        self.per_command["commands"] = np.ones(len(stream), dtype=np.int64)
        self.phase = np.array(
            [PHASES.index(operation.phase) for operation in stream.operations], dtype=np.int64
        )[stream.tag]
        self.buffer = buffers_of(simulation)

    def total(self, name: str) -> int:
        """A field of `Work`, summed over all commands."""
        return int(self.per_command[name].sum())

    def by_phase(self, name: str) -> list[int]:
        """A field of `Work`, summed over the commands of each phase, in the order of `PHASES`."""
        return sums_by(self.per_command[name], self.phase, len(PHASES))

    def by_operation(self, name: str) -> list[int]:
        """A field of `Work`, summed over the commands of each source operation."""
        return sums_by(self.per_command[name], self.tag, len(self.simulation.stream.operations))

    @cached_property
    def critical_path(self) -> list[Segment]:
        """The chain of commands that decides how long the run takes."""
        return critical_path(self.simulation)

    @cached_property
    def phase_cycles(self) -> list[int]:
        """Cycles that the critical path spends in commands of each phase; they add up to the run.

        A phase whose work is hidden behind that of others has none: see `active_cycles`.
        """
        commands = np.array([s.command for s in self.critical_path], dtype=np.int64)
        cycles = np.array([s.cycles for s in self.critical_path], dtype=np.int64)
        return sums_by(cycles, self.phase[commands], len(PHASES))

    def active_cycles(self) -> list[int]:
        """Cycles in which a command of each phase works or transfers; phases may overlap."""
        s = self.simulation
        return [covered_length(s.start[mine], s.complete[mine])
                for mine in (self.phase == phase for phase in range(len(PHASES)))]  # fmt: skip

    def by_unit(self, name: str) -> dict[str, int]:
        """A field of `Work`, summed over the commands of each unit."""
        sums = sums_by(self.per_command[name], self.simulation.stream.queue, len(Queue))
        return dict(zip(UNITS.values(), sums, strict=True))

    @property
    def tag(self) -> np.ndarray:
        """Each command's source operation."""
        return self.simulation.stream.tag

    @property
    def macs(self) -> int:
        """Multiply-adds executed, of all formats."""
        return self.total("bf16_macs") + self.total("f32_macs")

    @property
    def masked_macs(self) -> int:
        """Multiply-adds that masks saved against dense operations."""
        return sum(operation.masked_macs for operation in self.simulation.program.operations)

    @cached_property
    def units(self) -> dict[str, UnitTime]:
        """The cycles of each unit."""
        return unit_times(self.simulation)

    def dram_traffic(self, name: str = "dram_moved_bytes") -> dict[str, Traffic]:
        """DRAM traffic by direction (``read``, ``write``), for a field of `Work`."""
        s = self.simulation
        return {
            way: Traffic(s.program.dram, numbers, self.buffer[mine], self.per_command[name][mine])
            for queue, way in DIRECTIONS.items()
            for mine in (s.of(queue),)
            for numbers in (np.arange(mine.start, mine.stop),)
        }

    def traffic(self, name: str = "dram_moved_bytes") -> dict[str, dict[str, int]]:
        """DRAM traffic by direction and purpose, for a field of `Work`."""
        return {way: found.by_purpose() for way, found in self.dram_traffic(name).items()}

    def traffic_by_buffer(self, name: str = "dram_moved_bytes") -> dict[str, list[int]]:
        """DRAM traffic by direction, for each buffer of the program, and last of no buffer."""
        return {way: found.by_piece() for way, found in self.dram_traffic(name).items()}

    @cached_property
    def scratchpad_traffic(self) -> dict[str, Traffic]:
        """Scratchpad traffic by direction (``read``, ``written``)."""
        return scratchpad_traffic(self.simulation)

    def overfetch(self) -> dict[str, dict[str, int]]:
        """Bytes that DRAM moves beyond those asked for, by direction and purpose."""
        asked = self.traffic("dram_useful_bytes")
        return {
            way: {purpose: moved - asked[way].get(purpose, 0) for purpose, moved in found.items()}
            for way, found in self.traffic().items()
        }

    def lists(self) -> dict[str, dict[str, int]]:
        """Index lists that commands read or write, by mnemonic: how many, and how long.

        `entries` are those of all lists, `shortest` and `longest` those of one.
        """
        found: dict[str, list[int]] = {}
        entries = self.per_command["list_entries"]
        for command in np.flatnonzero(entries).tolist():
            mnemonic = self.simulation.stream.commands[command].MNEMONIC
            found.setdefault(mnemonic, []).append(int(entries[command]))
        return {
            name: {"lists": len(n), "entries": sum(n), "shortest": min(n), "longest": max(n)}
            for name, n in sorted(found.items())
        }

    @cached_property
    def updated(self) -> list[Updated]:
        """What the step writes of each parameter."""
        return updated_parameters(self.simulation, self.buffer)

    def commands(self) -> dict[str, int]:
        """Number of commands by mnemonic."""
        found = Counter(c.MNEMONIC for c in self.simulation.stream.commands)
        return dict(sorted(found.items()))

    def semaphores(self) -> dict[str, int]:
        """Waits, posts, and commands that had to wait."""
        s = self.simulation
        posts = int((s.stream.post >= 0).sum() + (s.stream.extra_post >= 0).sum())
        return {
            "waits": int((s.stream.wait >= 0).sum()),
            "posts": posts,
            "blocked": int((s.producer >= 0).sum()),
        }
