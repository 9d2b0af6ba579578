"""How full the memories are over time."""

from __future__ import annotations

import numpy as np

from ssft.hwmodel.timing.events import Simulation

Change = tuple[int, int, int, int]
"""Cycle, +1 or -1, and the extent: from this address up to, not including, that one."""


def scratchpad_occupancy(simulation: Simulation) -> list[tuple[int, int]]:
    """Scratchpad bytes that belong to a live slot, as steps ``(cycle, bytes from then on)``.

    A slot is taken to be live from the start of the first command of its first operation to the
    completion of the last command of its last one. That is a little long, so slots that follow each
    other at one address may overlap in time; their common bytes count once.
    """
    return _covered(_changes(simulation))


def peak_bytes_by_bank(simulation: Simulation) -> list[int]:
    """The most bytes of each bank that belong to live slots at a time; banks by address.

    A bank holds the next ``scratchpad.bytes / scratchpad.banks`` addresses, rounded up. Banks that
    are never used could be switched off.
    """
    scratchpad = simulation.machine.scratchpad
    size = -(-scratchpad.bytes // scratchpad.banks)
    by_bank: list[list[Change]] = [[] for _ in range(scratchpad.banks)]
    for cycle, delta, low, high in _changes(simulation):
        for bank in range(low // size, min(-(-high // size), scratchpad.banks)):
            part = max(low, bank * size), min(high, (bank + 1) * size)
            by_bank[bank].append((cycle, delta, *part))
    return [max((level for _, level in _covered(changes)), default=0) for changes in by_bank]


def _changes(simulation: Simulation) -> list[Change]:
    """When the slots' extents of the scratchpad are taken and given back, in order of time."""
    s = simulation
    begin = np.full(len(s.stream.operations) + 1, s.cycles, dtype=np.int64)
    end = np.zeros_like(begin)
    np.minimum.at(begin, s.stream.tag, s.start)
    np.maximum.at(end, s.stream.tag, s.complete)
    changes: list[Change] = []
    for slot in s.program.spm:
        span = slice(slot.first, slot.last + 1)
        born, dead = int(begin[span].min(initial=s.cycles)), int(end[span].max(initial=0))
        if born < dead and slot.bytes:
            extent = (slot.address, slot.address + slot.bytes)
            changes += [(born, 1, *extent), (dead, -1, *extent)]
    return sorted(changes)


def _covered(changes: list[Change]) -> list[tuple[int, int]]:
    """Steps of the bytes that intervals cover."""
    edges = np.unique([edge for _, _, *extent in changes for edge in extent])
    sizes, holders = np.diff(edges), np.zeros(max(0, len(edges) - 1), dtype=np.int64)
    level, steps = 0, {}
    for cycle, delta, low, high in changes:
        mine = slice(*np.searchsorted(edges, (low, high)))
        before = holders[mine] > 0
        holders[mine] += delta
        level += int(sizes[mine][holders[mine] > 0].sum() - sizes[mine][before].sum())
        steps[cycle] = level
    return list(steps.items())


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
