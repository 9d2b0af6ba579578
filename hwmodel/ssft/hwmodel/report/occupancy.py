"""How full the memories are over time."""

from __future__ import annotations

import numpy as np

from ssft.hwmodel.timing.events import Simulation


def scratchpad_occupancy(simulation: Simulation) -> list[tuple[int, int]]:
    """Bytes of live scratchpad slots, as steps ``(cycle, bytes from then on)``.

    A slot is taken to be live from the first command of its first operation to the completion of
    the last command of its last one.
    """
    s = simulation
    changes: dict[int, int] = {}
    for slot in s.program.spm:
        mine = (s.stream.tag >= slot.first) & (s.stream.tag <= slot.last)
        if mine.any():
            for cycle, delta in (
                (int(s.issue[mine].min()), slot.bytes),
                (int(s.complete[mine].max()), -slot.bytes),
            ):
                changes[cycle] = changes.get(cycle, 0) + delta
    return _running(changes)


def bandwidth(simulation: Simulation, commands: slice, moved: np.ndarray) -> list[tuple[int, int]]:
    """Bytes per second that transfers of a DMA unit move, as steps ``(cycle, rate)``.

    Each transfer is drawn at its average rate.
    """
    s = simulation
    begin, end = s.start[commands].tolist(), s.leave[commands].tolist()
    frequency = s.machine.clock.frequency
    steps: dict[int, int] = {}
    for start, leave, count in zip(begin, end, moved[commands].tolist(), strict=True):
        if leave > start:
            steps[start] = round(count * frequency / (leave - start))
            steps[leave] = 0
    return sorted(steps.items())


def peak_scratchpad_bytes(simulation: Simulation) -> int:
    """The highest scratchpad address in use: the program's own statement, or its slots' ends."""
    program = simulation.program
    return max([program.spm_bytes, *(slot.address + slot.bytes for slot in program.spm)])


def peak_dram_bytes(simulation: Simulation) -> int:
    """The highest DRAM address in use: the program's own statement, or its buffers' ends."""
    program = simulation.program
    return max([program.dram_bytes, *(buffer.address + buffer.bytes for buffer in program.dram)])


def _running(changes: dict[int, int]) -> list[tuple[int, int]]:
    level = 0
    steps = []
    for cycle, delta in sorted(changes.items()):
        level += delta
        steps.append((cycle, level))
    return steps
