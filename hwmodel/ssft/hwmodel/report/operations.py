"""One row per source operation: time on each unit, traffic, energy, place on the roofline."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from ssft.hwmodel.config import Machine
from ssft.hwmodel.energy import joules_by_operation
from ssft.hwmodel.isa import Queue
from ssft.hwmodel.timing.counters import Counters
from ssft.hwmodel.timing.stream import UNITS
from ssft.hwmodel.timing.sums import covered_length, sums_by

FLOPS_PER_MAC = 2


def operation_rows(counters: Counters) -> list[dict[str, Any]]:
    """A row for each source operation, in program order.

    `busy` are cycles of each unit (issue and work); `active_cycles` those in which some command of
    the operation works or transfers; `critical_cycles` those that the run spends on it because
    nothing else could go on; `dynamic_joules` leaves leakage and standby out.
    """
    s = counters.simulation
    operations = s.stream.operations
    occupied = s.work + s.issue_cycles
    busy = {
        UNITS[queue]: sums_by(occupied[s.of(queue)], s.stream.tag[s.of(queue)], len(operations))
        for queue in Queue
    }
    critical = critical_by_operation(counters)
    active = _active(counters)
    joules = joules_by_operation(counters)
    fields = {
        name: counters.by_operation(name)
        for name in ("bf16_macs", "f32_macs", "padded_macs", "dram_useful_bytes",
                     "dram_moved_bytes", "spm_read_bytes", "spm_written_bytes", "commands")
    }  # fmt: skip
    rows = []
    for i, operation in enumerate(operations):
        macs = fields["bf16_macs"][i] + fields["f32_macs"][i]
        rows.append(
            {
                "name": operation.name,
                "kind": operation.kind,
                "phase": operation.phase,
                "location": operation.location,
                "commands": fields["commands"][i],
                "busy": {unit: cycles[i] for unit, cycles in busy.items()},
                "active_cycles": active[i],
                "critical_cycles": critical[i],
                "macs": macs,
                "masked_macs": operation.masked_macs,
                "padded_macs": fields["padded_macs"][i],
                "dram_bytes": fields["dram_useful_bytes"][i],
                "dram_moved_bytes": fields["dram_moved_bytes"][i],
                "spm_bytes": fields["spm_read_bytes"][i] + fields["spm_written_bytes"][i],
                "dynamic_joules": joules[i],
                **roofline_point(s.machine, macs, fields["dram_moved_bytes"][i], active[i]),
            }
        )
    return rows


def critical_by_operation(counters: Counters) -> list[int]:
    """Cycles of the critical path in each source operation; they add up to the run."""
    path = counters.critical_path
    cycles = np.array([segment.cycles for segment in path], dtype=np.int64)
    commands = np.array([segment.command for segment in path], dtype=np.int64)
    operations = counters.simulation.stream.operations
    return sums_by(cycles, counters.tag[commands], len(operations))


def _active(counters: Counters) -> list[int]:
    """Cycles in which each operation has a command that works or transfers."""
    s = counters.simulation
    order = np.argsort(s.stream.tag, kind="stable")
    bounds = np.searchsorted(s.stream.tag[order], np.arange(len(s.stream.operations) + 1))
    return [covered_length(s.start[order[a:b]], s.leave[order[a:b]]) for a, b in pairwise(bounds)]


def roofline_point(machine: Machine, macs: int, moved: int, cycles: int) -> dict[str, Any]:
    """Arithmetic intensity in flop per byte moved, and what was attained of what is possible."""
    flops, seconds = FLOPS_PER_MAC * macs, machine.seconds(cycles)
    intensity = flops / moved if moved else None
    roof = machine.peak_flops
    if intensity is not None:
        roof = min(roof, intensity * machine.dram.bandwidth)
    attained = flops / seconds if cycles else 0.0
    return {
        "arithmetic_intensity": intensity,
        "attained_flops": attained,
        "roofline_flops": roof,
        "roofline_fraction": attained / roof if roof else 0.0,
        "bandwidth_fraction": moved / (seconds * machine.dram.bandwidth) if cycles else 0.0,
    }
