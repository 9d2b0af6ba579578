"""The sections of a report, each from the counters of a run."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np

from ssft.hwmodel.energy import Energy
from ssft.hwmodel.isa import Queue
from ssft.hwmodel.isa.program import PHASES
from ssft.hwmodel.report.operations import roofline_point
from ssft.hwmodel.timing.closed_form import busiest_units, closed_form
from ssft.hwmodel.timing.counters import Counters
from ssft.hwmodel.timing.events import Simulation
from ssft.hwmodel.timing.stream import UNITS

CHAIN_LENGTH = 20
"""Entries of the critical path that a report lists, longest first."""


def phases_section(counters: Counters, joules: Energy) -> dict[str, dict[str, Any]]:
    """Cycles, work, traffic and energy of each phase."""
    bf16, f32 = counters.by_phase("bf16_macs"), counters.by_phase("f32_macs")
    useful, moved = counters.by_phase("dram_useful_bytes"), counters.by_phase("dram_moved_bytes")
    cycles, active, parts = counters.phase_cycles, counters.active_cycles(), joules.by_phase()
    return {
        phase: {
            "cycles": cycles[i],
            "active_cycles": active[i],
            "macs": bf16[i] + f32[i],
            "dram_bytes": useful[i],
            "dram_moved_bytes": moved[i],
            "energy_joules": parts[phase],
        }
        for i, phase in enumerate(PHASES)
    }


def waits_section(s: Simulation) -> dict[str, dict[str, int]]:
    """For each unit, for whose posts it waited, in cycles."""
    cycles = np.zeros((len(Queue), len(Queue)), dtype=np.int64)
    blocked = np.flatnonzero(s.producer >= 0)
    waited = (s.start - s.issue - s.issue_cycles)[blocked]
    np.add.at(cycles, (s.stream.queue[blocked], s.stream.queue[s.producer[blocked]]), waited)
    return {
        UNITS[unit]: {UNITS[other]: int(n) for other, n in zip(Queue, row, strict=True) if n}
        for unit, row in zip(Queue, cycles, strict=True)
    }


def dram_sections(counters: Counters) -> dict[str, Any]:
    """DRAM bytes by direction and purpose: asked for, moved, and the difference; bursts, pages."""
    return {
        "dram_bytes": counters.traffic("dram_useful_bytes"),
        "dram_moved_bytes": counters.traffic("dram_moved_bytes"),
        "dram_overfetch_bytes": counters.overfetch(),
        "dram_bursts": counters.total("dram_bursts"),
        "dram_activates": counters.total("dram_activates"),
    }


def scratchpad_sections(counters: Counters) -> dict[str, dict[str, Any]]:
    """Scratchpad bytes by direction and unit, by direction and purpose, and by all three."""
    queue, traffic = counters.simulation.stream.queue, counters.scratchpad_traffic
    by_unit = {way: found.by_key_and_purpose(queue, len(Queue)) for way, found in traffic.items()}
    return {
        "spm_bytes": {
            "read": counters.by_unit("spm_read_bytes"),
            "written": counters.by_unit("spm_written_bytes"),
        },
        "spm_bytes_by_purpose": {way: found.by_purpose() for way, found in traffic.items()},
        "spm_bytes_by_unit_and_purpose": {
            way: dict(zip(UNITS.values(), found, strict=True)) for way, found in by_unit.items()
        },
    }


def updated_section(counters: Counters) -> dict[str, Any]:
    """Rows and columns of parameters that the step writes, in total and of each."""
    found = counters.updated
    return {
        "rows": sum(each.rows or 0 for each in found),
        "columns": sum(each.columns or 0 for each in found),
        "parameters": [asdict(each) | {"shape": list(each.shape)} for each in found],
    }


def energy_section(joules: Energy, tokens: int | None, updated: int) -> dict[str, Any]:
    """Energy by component and by coefficient, and per token and updated parameter."""
    total = joules.joules
    return {
        "by_component": joules.by_component(),
        "terms": [
            {
                "component": term.component,
                "constant": term.key,
                "joules": term.joules,
                "quantity": sum(term.quantity),
                "unit": term.unit,
                "joules_per_unit": term.coefficient,
            }
            for term in joules.terms
        ],
        "sensitivity": joules.sensitivity(),
        "per_step": total,
        "per_token": total / tokens if tokens else None,
        "per_updated_parameter": total / updated if updated else None,
    }


def utilisation_section(counters: Counters) -> dict[str, float]:
    """Attained of what the tensor unit and the DRAM could do."""
    s = counters.simulation
    peak, busy = s.machine.peak_macs_per_cycle, counters.units["tensor"].busy
    moved = counters.total("dram_moved_bytes")
    return {
        "tensor": counters.macs / (s.cycles * peak) if s.cycles else 0.0,
        "tensor_while_busy": counters.macs / (busy * peak) if busy else 0.0,
        "dram": moved / (s.seconds * s.machine.dram.bandwidth) if s.cycles else 0.0,
    }


def closed_form_section(counters: Counters) -> dict[str, Any]:
    """The closed form and the busiest unit, beside the simulated cycles."""
    form = closed_form(counters)
    (unit, busy), (following, less), *_ = busiest_units(counters)
    cycles = counters.simulation.cycles
    return {
        "cycles": form.cycles,
        "fill": form.fill,
        "drain": form.drain,
        "phases": {
            phase: {"compute": form.compute[i], "dma": form.dma[i]}
            for i, phase in enumerate(PHASES)
        },
        "simulated_over_closed_form": cycles / form.cycles if form.cycles else None,
        "busiest_unit": unit,
        "busiest_unit_cycles": busy,
        "next_unit": following,
        "next_unit_cycles": less,
        "simulated_over_busiest_unit": cycles / busy if busy else None,
    }


def critical_path_section(counters: Counters) -> dict[str, Any]:
    """The critical path by unit and by cause, and its longest contributors."""
    s = counters.simulation
    chain: Counter[tuple[int, str, str]] = Counter()
    units: Counter[str] = Counter()
    causes: Counter[str] = Counter()
    for segment in counters.critical_path:
        unit = UNITS[Queue(int(s.stream.queue[segment.command]))]
        chain[int(s.stream.tag[segment.command]), unit, segment.cause] += segment.cycles
        units[unit] += segment.cycles
        causes[segment.cause] += segment.cycles
    operations = s.stream.operations
    return {
        "segments": len(counters.critical_path),
        "by_unit": dict(units),
        "by_cause": dict(causes),
        "longest": [
            {
                "op": operations[tag].name,
                "phase": operations[tag].phase,
                "location": operations[tag].location,
                "unit": unit,
                "cause": cause,
                "cycles": cycles,
                "share": cycles / s.cycles,
            }
            for (tag, unit, cause), cycles in chain.most_common(CHAIN_LENGTH)
        ],
    }


def roofline_section(counters: Counters, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Peak, bandwidth and the ridge between them; the whole step, and each operation with products.

    A point's `op` is its position in `ops`.
    """
    machine = counters.simulation.machine
    moved = counters.total("dram_moved_bytes")
    step = roofline_point(machine, counters.macs, moved, counters.simulation.cycles)
    shown = ("arithmetic_intensity", "attained_flops", "roofline_fraction")
    return {
        "peak_flops": machine.peak_flops,
        "bandwidth": machine.dram.bandwidth,
        "ridge_flops_per_byte": machine.peak_flops / machine.dram.bandwidth,
        "step": {name: step[name] for name in shown},
        "points": [
            {"op": i, "name": row["name"], "phase": row["phase"]}
            | {name: row[name] for name in shown}
            for i, row in enumerate(rows)
            if row["macs"]
        ],
    }
