"""Traces for ui.perfetto.dev and chrome://tracing: units as tracks, memories as counters.

Format: the JSON array of the Trace Event Format ("X" complete, "i" instant, "C" counter, "M"
metadata events; times in microseconds). Times are rounded to the nanosecond, in which viewers
count: slices that adjoin in cycles adjoin in the trace, and none overlap.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from ssft.hwmodel.isa import Command, Queue
from ssft.hwmodel.report.files import write_whole
from ssft.hwmodel.report.occupancy import bandwidth, scratchpad_occupancy
from ssft.hwmodel.timing.counters import Counters
from ssft.hwmodel.timing.event_loop import CONTROL, FENCE
from ssft.hwmodel.timing.events import Simulation
from ssft.hwmodel.timing.stream import UNITS

Event = dict[str, Any]
CHIP = 1
CRITICAL_TRACK = len(Queue)
HEAD = frozenset({"tag", "wait", "wait_value", "post"})
NANOSECOND = 1e-9


def trace(simulation: Simulation) -> dict[str, Any]:
    """The trace of a run as a JSON object.

    A slice is a command at work, named after its source operation, with phase, location and the
    command's fields; the wait before it is a slice of its own. One more track shows the critical
    path; counters show live scratchpad bytes and the bandwidth of each direction.
    """
    counters = Counters(simulation)
    events = [
        *_names(),
        *_commands(simulation),
        *_critical(simulation, counters),
        *_counters(simulation, counters),
    ]
    return {
        "traceEvents": events,
        "displayTimeUnit": "ns",
        "otherData": {
            "machine": simulation.machine.name,
            "frequency": simulation.machine.clock.frequency,
            "cycles": simulation.cycles,
        },
    }


def write_trace(simulation: Simulation, path: str | Path) -> None:
    """Writes the trace of a run to a file; raises MachineError if that cannot be written."""
    write_whole(path, json.dumps(trace(simulation), separators=(",", ":"), allow_nan=False))


def fields_of(command: Command) -> dict[str, int]:
    """A command's payload, by field name."""
    return {name: getattr(command, name) for name in _field_names(type(command))}


@cache
def _field_names(kind: type[Command]) -> tuple[str, ...]:
    names = (field.name for field in dataclasses.fields(kind))
    return tuple(name for name in names if name not in HEAD)


def place(s: Simulation, command: int) -> str:
    """A command's unit and position in its queue, as in ``tensor 3``."""
    queue = Queue(int(s.stream.queue[command]))
    return f"{UNITS[queue]} {command - s.stream.first[queue]}"


class _Clock:
    """Turns cycles into the trace's microseconds."""

    def __init__(self, simulation: Simulation) -> None:
        self.nanoseconds = 1 / (simulation.machine.clock.frequency * NANOSECOND)

    def at(self, cycle: int) -> float:
        """The time of a cycle."""
        return round(cycle * self.nanoseconds) / 1000

    def instant(self, cycle: int) -> dict[str, Any]:
        """The fields of a point in time."""
        return {"ph": "i", "s": "t", "ts": self.at(cycle)}

    def slice(self, begin: int, end: int) -> dict[str, Any]:
        """The fields of a slice."""
        first, last = round(begin * self.nanoseconds), round(end * self.nanoseconds)
        return {"ph": "X", "ts": first / 1000, "dur": (last - first) / 1000}


def _names() -> Iterator[Event]:
    yield {"ph": "M", "name": "process_name", "pid": CHIP, "args": {"name": "SSFT-Hw"}}
    tracks = {int(queue): name for queue, name in UNITS.items()}
    for track, name in (tracks | {CRITICAL_TRACK: "critical path"}).items():
        for kind, value in (("thread_name", {"name": name}), ("thread_sort_index", track)):
            args = value if isinstance(value, dict) else {"sort_index": value}
            yield {"ph": "M", "name": kind, "pid": CHIP, "tid": track, "args": args}


def _commands(s: Simulation) -> Iterator[Event]:
    clock = _Clock(s)
    times = (s.stream.queue, s.stream.tag, s.issue, s.start, s.leave, s.producer, s.kind)
    rows = zip(s.stream.commands, *(array.tolist() for array in times), strict=True)
    for command, queue, tag, issue, start, leave, producer, kind in rows:
        operation = s.stream.operations[tag]
        common = {"name": operation.name, "pid": CHIP, "tid": queue}
        decoded = issue + s.issue_cycles
        if start > decoded:
            yield common | {
                "name": "wait",
                **clock.slice(decoded, start),
                "cat": "wait",
                "args": {"semaphore": command.wait, "value": command.wait_value,
                         "posted_by": place(s, producer)},
            }  # fmt: skip
        instant = kind in (CONTROL, FENCE) and leave == start
        yield common | {
            **(clock.instant(start) if instant else clock.slice(start, leave)),
            "cat": operation.phase,
            "args": {
                "command": command.MNEMONIC,
                "phase": operation.phase,
                "kind": operation.kind,
                "location": operation.location,
                "cycles": leave - start,
                **fields_of(command),
            },
        }


def _critical(s: Simulation, counters: Counters) -> Iterator[Event]:
    clock = _Clock(s)
    for segment in counters.critical_path:
        operation = s.stream.operations[int(s.stream.tag[segment.command])]
        yield {
            **clock.slice(segment.begin, segment.end),
            "name": operation.name,
            "cat": "critical path",
            "pid": CHIP,
            "tid": CRITICAL_TRACK,
            "args": {"cause": segment.cause, "phase": operation.phase,
                     "command": place(s, segment.command)},
        }  # fmt: skip


def _counters(s: Simulation, counters: Counters) -> Iterator[Event]:
    moved = counters.per_command["dram_moved_bytes"]
    tracks = {
        "SPM bytes": scratchpad_occupancy(s),
        "DRAM read B/s": bandwidth(s, s.of(Queue.DMA_IN), moved),
        "DRAM write B/s": bandwidth(s, s.of(Queue.DMA_OUT), moved),
    }
    clock = _Clock(s)
    for name, steps in tracks.items():
        for cycle, value in steps:
            yield {
                "ph": "C",
                "name": name,
                "pid": CHIP,
                "ts": clock.at(cycle),
                "args": {name: value},
            }
