"""Figures of a simulated layer that experiments compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ssft.hwmodel.config import Machine
from ssft.hwmodel.experiments.layer import LinearLayer, Mask
from ssft.hwmodel.experiments.workload import GATHER, LISTS, SCATTER, STATES, layer_program
from ssft.hwmodel.report import report
from ssft.hwmodel.timing.events import simulate

Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one step: MACs, joules, seconds, and DRAM bytes as moved.

    `mask_seconds` are those that the critical path spends in weight gradient and update, the
    phases that a mask changes. `gather_seconds` are those in which a DMA unit gathers or scatters
    weights; `update_bytes` all that the update moves but `list_bytes`.
    """

    seconds: float
    joules: float
    macs: int
    mask_seconds: float
    gather_seconds: float
    gather_bytes: int
    update_bytes: int
    list_bytes: int


def run_layer(layer: LinearLayer, mask: Mask, density: float, machine: Machine) -> Report:
    """The report of a layer's step."""
    return report(simulate(layer_program(layer, mask, density, machine), machine))


def figures(report: Report) -> Figures:
    """The figures of a report by `run_layer`."""
    frequency = report["machine"]["frequency"]
    phases = report["phases"]

    def moved(*kinds: str) -> int:
        return sum(op["dram_moved_bytes"] for op in report["ops"] if op["kind"] in kinds)

    gathers = [op for op in report["ops"] if op["kind"] in (GATHER, SCATTER)]
    busy = sum(op["busy"]["dma_in"] + op["busy"]["dma_out"] for op in gathers)
    changed = phases["weight_gradient"]["cycles"] + phases["update"]["cycles"]
    return Figures(
        seconds=report["seconds"],
        joules=report["energy_joules"],
        macs=report["macs"]["executed"],
        mask_seconds=changed / frequency,
        gather_seconds=busy / frequency,
        gather_bytes=moved(GATHER, SCATTER),
        update_bytes=moved(GATHER, SCATTER, STATES),
        list_bytes=moved(LISTS),
    )
