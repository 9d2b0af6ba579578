"""What the page draws, beside the report: commands over time, memory maps, constants."""

from __future__ import annotations

from typing import Any

import numpy as np

from ssft.hwmodel.config import Machine
from ssft.hwmodel.isa import Command, Gemm, Program, Queue
from ssft.hwmodel.report.occupancy import bandwidth, scratchpad_occupancy
from ssft.hwmodel.report.perfetto import fields_of
from ssft.hwmodel.timing.counters import Counters
from ssft.hwmodel.timing.durations import contraction
from ssft.hwmodel.timing.events import Simulation
from ssft.hwmodel.timing.stream import UNITS

MOST_COMMANDS = 60_000
"""With more, equal commands that follow each other are drawn as one."""
MOST_STEPS = 4_000
"""Points of a curve over time; with more, each stands for the mean of several."""

_ADDRESSES = frozenset({"dram", "spm", "index", "a", "b", "c", "arguments", "origin", "target",
                        "source", "gradient", "score", "counts", "values", "first"})  # fmt: skip


def timeline(simulation: Simulation) -> dict[str, Any]:
    """Lanes of the units, the critical path, and curves. Times are in cycles.

    A lane's lists have one entry per command, in order: `tag` (an index into the report's ``ops``),
    `shape` (into `shapes`), `wait` (from when on it waited), `start`, `leave`, `producer` (whose
    post ended the wait: a number counted through all lanes, or -1), `count` (commands drawn as
    one), `busy` (how much of start to leave is spent in them).
    """
    s = simulation
    counters = Counters(s)
    groups = _groups(s)
    taken = np.concatenate(([0], np.cumsum(s.leave - s.start)))
    lanes = []
    for queue in Queue:
        mine = s.of(queue)
        first = np.unique(groups[mine], return_index=True)[1] + mine.start
        last = np.append(first[1:], mine.stop) - 1 if len(first) else first
        producer = np.where(s.producer[first] >= 0, groups[s.producer[first]], -1)
        lanes.append(
            {
                "unit": UNITS[queue],
                "tag": s.stream.tag[first].tolist(),
                "shape": s.stream.shape[first].tolist(),
                "wait": (s.issue[first] + s.issue_cycles).tolist(),
                "start": s.start[first].tolist(),
                "leave": s.leave[last].tolist(),
                "producer": producer.tolist(),
                "count": (last - first + 1).tolist(),
                "busy": (taken[last + 1] - taken[first]).tolist(),
            }
        )
    moved = counters.per_command["dram_moved_bytes"]
    return {
        "cycles": s.cycles,
        "frequency": s.machine.clock.frequency,
        "issue_cycles": s.issue_cycles,
        "shapes": [describe(s.program, command) for command in s.stream.shapes],
        "lanes": lanes,
        "critical": [
            [piece.begin, piece.end, int(groups[piece.command]), piece.cause]
            for piece in counters.critical_path
        ],
        "curves": [
            {"name": "DRAM read", "unit": "B/s", "limit": s.machine.dram.bandwidth,
             "steps": _thinned(bandwidth(s, s.of(Queue.DMA_IN), moved), s.cycles)},
            {"name": "DRAM write", "unit": "B/s", "limit": s.machine.dram.bandwidth,
             "steps": _thinned(bandwidth(s, s.of(Queue.DMA_OUT), moved), s.cycles)},
            {"name": "scratchpad", "unit": "B", "limit": s.machine.scratchpad.bytes,
             "steps": _thinned(scratchpad_occupancy(s), s.cycles)},
        ],
    }  # fmt: skip


def _groups(s: Simulation) -> np.ndarray:
    """The number of what each command is drawn as; numbers ascend through all queues."""
    size = len(s.stream)
    if size <= MOST_COMMANDS:
        return np.arange(size)
    new = np.ones(size, dtype=bool)
    same = (s.stream.tag[1:] == s.stream.tag[:-1]) & (s.stream.shape[1:] == s.stream.shape[:-1])
    new[1:] = ~(same & (s.stream.queue[1:] == s.stream.queue[:-1]))
    return np.cumsum(new) - 1


def _thinned(steps: list[tuple[int, int]], end: int) -> list[list[int]]:
    """The steps, or the means over so many of them that few enough are left."""
    stride = -(-len(steps) // MOST_STEPS)
    if stride <= 1:
        return [list(step) for step in steps]
    times = np.array([cycle for cycle, _ in steps] + [max(end, steps[-1][0])], dtype=np.float64)
    area = np.array([value for _, value in steps], dtype=np.float64) * np.diff(times)
    first = np.arange(0, len(steps), stride)
    spans = np.diff(np.append(times[first], times[-1]))
    means = np.add.reduceat(area, first) / np.maximum(spans, 1.0)
    return [[int(times[i]), round(mean)] for i, mean in zip(first, means.tolist(), strict=True)]


def describe(program: Program, command: Command) -> str:
    """What commands of a shape have in common, in a line."""
    if isinstance(command, Gemm):
        shape = contraction(program, command)
        batch, m, n, k = (shape.extent(kind) for kind in ("batch", "m", "n", "k"))
        prefix = f"{batch} x " if batch > 1 else ""
        rows, columns = shape.lane_tile
        return (
            f"{command.MNEMONIC} {prefix}[{m}, {k}] [{k}, {n}], "
            f"{shape.a_dtype} * {shape.b_dtype} -> {shape.c_dtype}, lane tile {rows} x {columns}"
        )
    fields = fields_of(command)
    if "program" in fields and fields["program"] < len(program.micro_programs):
        made = program.micro_programs[fields["program"]]
        loops = "; ".join(" x ".join(map(str, nest.extents)) or "1" for nest in made.nests[:3])
        more = ", …" if len(made.nests) > 3 else ""
        return f"{command.MNEMONIC} {made.kind}: {len(made.nests)} nests ({loops}{more})"
    kept = (f"{name}={value}" for name, value in fields.items() if name not in _ADDRESSES)
    return " ".join([command.MNEMONIC, *kept])


def memory_map(simulation: Simulation) -> dict[str, Any]:
    """Slots of the scratchpad by operation, and the buffers of DRAM."""
    program, machine = simulation.program, simulation.machine
    return {
        "scratchpad": {
            "capacity": machine.scratchpad.bytes,
            "used": program.spm_bytes,
            "lower_bound": program.spm_lower_bound,
            "slots": [
                [slot.name, slot.address, slot.bytes, slot.first, slot.last, slot.buffers]
                for slot in program.spm
            ],
        },
        "dram": {
            "capacity": machine.dram.bytes,
            "used": program.dram_bytes,
            "buffers": [
                [buffer.name, buffer.address, buffer.bytes, buffer.purpose, buffer.dtype,
                 list(buffer.shape)]
                for buffer in program.dram
            ],
        },
    }  # fmt: skip


def provenance(machine: Machine) -> list[list[Any]]:
    """Key, value, unit, label and source of every constant of a machine."""
    return [
        [key, constant.value, constant.unit, constant.label, constant.source]
        for key, constant in machine.constants.items()
    ]
