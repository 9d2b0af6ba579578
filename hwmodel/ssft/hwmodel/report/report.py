"""The report of a simulated step: a dict that JSON can hold; tables and pages are views of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from ssft.hwmodel.config import Constant, Machine
from ssft.hwmodel.energy import energy
from ssft.hwmodel.report.limits import DENOMINATORS, limits
from ssft.hwmodel.report.occupancy import (
    peak_bytes_by_bank,
    peak_dram_bytes,
    peak_scratchpad_bytes,
    scratchpad_occupancy,
)
from ssft.hwmodel.report.operations import operation_rows
from ssft.hwmodel.report.sections import (
    closed_form_section,
    critical_path_section,
    dram_sections,
    energy_section,
    phases_section,
    roofline_section,
    scratchpad_sections,
    updated_section,
    utilisation_section,
    waits_section,
)
from ssft.hwmodel.timing.counters import Counters
from ssft.hwmodel.timing.events import Simulation

REPORT_VERSION = 2


def report(
    simulation: Simulation, *, tokens: int | None = None, updated_parameters: int | None = None
) -> dict[str, Any]:
    """Everything that is known about a run. Units are in the names: cycles, bytes, joules, ...

    `tokens` of the step and `updated_parameters` are denominators of energy; without the latter it
    is what the row-update unit updated.
    """
    s = simulation
    counters = Counters(s)
    joules = energy(counters)
    seconds, total = s.seconds, joules.joules
    rows = operation_rows(counters)
    updated = updated_parameters or counters.total("elements_updated")
    return {
        "report_version": REPORT_VERSION,
        "machine": machine_identity(s.machine),
        "program": _program(s),
        "cycles": s.cycles,
        "seconds": seconds,
        "energy_joules": total,
        "average_watts": total / seconds if seconds else 0.0,
        "phases": phases_section(counters, joules),
        "macs": {
            "executed": counters.macs,
            "masked": counters.masked_macs,
            "padded": counters.total("padded_macs"),
            "skipped": counters.total("skipped_macs"),
        },
        **dram_sections(counters),
        **scratchpad_sections(counters),
        "row_buffer_bytes": counters.total("row_buffer_bytes"),
        "units": {unit: asdict(time) for unit, time in counters.units.items()},
        "waits": waits_section(s),
        "peak_spm_bytes": peak_scratchpad_bytes(s),
        "peak_live_spm_bytes": max((level for _, level in scratchpad_occupancy(s)), default=0),
        "peak_live_spm_bytes_by_bank": peak_bytes_by_bank(s),
        "peak_dram_bytes": peak_dram_bytes(s),
        "commands": counters.commands(),
        "semaphores": counters.semaphores(),
        "lists": counters.lists(),
        "list_entries": counters.total("list_entries"),
        "rows_updated": counters.total("rows_updated"),
        "elements_updated": counters.total("elements_updated"),
        "updated": updated_section(counters),
        "energy": energy_section(joules, tokens, updated),
        "utilisation": utilisation_section(counters),
        "closed_form": closed_form_section(counters),
        "critical_path": critical_path_section(counters),
        "roofline": roofline_section(counters, rows),
        "ops": rows,
        "denominators": DENOMINATORS,
        "limits": limits(s.machine, s.program),
    }


def machine_identity(machine: Machine) -> dict[str, Any]:
    """Which machine it is: name, peaks, what was overridden, all constants, and their hash."""
    constants = {key: constant.value for key, constant in machine.constants.items()}
    text = json.dumps(constants, sort_keys=True)
    return {
        "name": machine.name,
        "description": machine.description,
        "frequency": machine.clock.frequency,
        "peak_flops": machine.peak_flops,
        "dram_bandwidth": machine.dram.bandwidth,
        "overrides": {
            key: constant.value
            for key, constant in machine.constants.items()
            if constant.label == "SET"
        },
        "constants": {key: _as_json(constant) for key, constant in machine.constants.items()},
        "constants_sha256": hashlib.sha256(text.encode()).hexdigest(),
    }


def _as_json(constant: Constant) -> dict[str, Any]:
    found = asdict(constant)
    if isinstance(constant.value, tuple):
        found["value"] = [list(point) for point in constant.value]
    return found


def _program(s: Simulation) -> dict[str, Any]:
    return {
        "scheduled_for": s.program.machine,
        "precision": s.program.precision,
        "commands": len(s.stream),
        "operations": len(s.program.operations),
        "spm_lower_bound": s.program.spm_lower_bound,
    }
