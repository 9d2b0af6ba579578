"""Cycles of a run's matrix products beside what SCALE-Sim's closed forms say about them.

SCALE-Sim knows systolic arrays only. The array is the machine's own, or else the one most nearly
square with as many multiply-accumulators as the machine has.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ssft.hwmodel.config import Machine
from ssft.hwmodel.isa import Gemm
from ssft.hwmodel.isa.program import PHASES
from ssft.hwmodel.timing import scalesim
from ssft.hwmodel.timing.durations import contraction
from ssft.hwmodel.timing.events import Simulation
from ssft.hwmodel.timing.sums import sums_by

OURS, OUTPUT, WEIGHT, IDEAL = (
    "ours",
    "scale_sim_output_stationary",
    "scale_sim_weight_stationary",
    "ideal",
)


def array_of(machine: Machine) -> tuple[int, int]:
    """Rows and columns of the array that SCALE-Sim is asked about."""
    tensor = machine.tensor
    if tensor.engine != "dot_lanes" and tensor.rows and tensor.columns:
        return tensor.rows, tensor.columns
    peak = machine.peak_macs_per_cycle
    rows = next(r for r in range(math.isqrt(peak), 0, -1) if peak % r == 0)
    return rows, peak // rows


def gemm_cycles(simulation: Simulation) -> dict[str, Any]:
    """Cycles of all tensor commands, by phase and in total.

    `ours` is what the event simulation charges; `ideal` are multiply-adds over the peak.
    """
    s = simulation
    rows, columns = array_of(s.machine)
    per_shape: dict[str, list[float]] = {name: [] for name in (OUTPUT, WEIGHT, IDEAL)}
    for command in s.stream.shapes:
        values = (0.0, 0.0, 0.0)
        if isinstance(command, Gemm):
            shape = contraction(s.program, command)
            batch, m, n, k = (shape.extent(kind) for kind in ("batch", "m", "n", "k"))
            values = (
                batch * scalesim.output_stationary_cycles(rows, columns, m, n, k),
                batch * scalesim.weight_stationary_cycles(rows, columns, m, n, k),
                shape.macs / s.machine.peak_macs_per_cycle,
            )
        for name, value in zip(per_shape, values, strict=True):
            per_shape[name].append(value)
    gemm = np.array([isinstance(c, Gemm) for c in s.stream.shapes], dtype=bool)[s.stream.shape]
    phase = np.array([PHASES.index(op.phase) for op in s.stream.operations])[s.stream.tag]
    ours = sums_by(np.where(gemm, s.work, 0), phase, len(PHASES))
    found: dict[str, list[float]] = {OURS: list(map(float, ours))}
    for name, values in per_shape.items():
        spread = np.array(values, dtype=np.float64)[s.stream.shape]
        found[name] = np.bincount(phase, spread, len(PHASES)).tolist()
    return {
        "array": [rows, columns],
        "phases": {
            name: {kind: values[i] for kind, values in found.items()}
            for i, name in enumerate(PHASES)
        },
        "total": {kind: math.fsum(values) for kind, values in found.items()},
    }
