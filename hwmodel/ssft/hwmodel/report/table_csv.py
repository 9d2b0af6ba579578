"""Tables of a run as comma-separated values: one row per command, or per source operation."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

from ssft.hwmodel.isa import Queue
from ssft.hwmodel.report.operations import operation_rows
from ssft.hwmodel.report.perfetto import fields_of, place
from ssft.hwmodel.timing.counters import Counters
from ssft.hwmodel.timing.critical_path import slack
from ssft.hwmodel.timing.events import Simulation
from ssft.hwmodel.timing.stream import UNITS

COUNTS = ("bf16_macs", "f32_macs", "dram_useful_bytes", "dram_moved_bytes", "spm_read_bytes",
          "spm_written_bytes")  # fmt: skip


def commands_csv(simulation: Simulation) -> str:
    """A row per command, queue by queue. Times are in cycles.

    `waited` are the cycles between decoding and start, `posted_by` the command that ended them;
    `slack` is how much later the command could have left without a longer run.
    """
    s, counters = simulation, Counters(simulation)
    waited = s.start - s.issue - s.issue_cycles
    columns = {
        "issue": s.issue, "start": s.start, "leave": s.leave, "complete": s.complete,
        "work": s.work, "waited": waited, "slack": slack(s),
        **{name: counters.per_command[name] for name in COUNTS},
    }  # fmt: skip
    numbers = zip(*(column.tolist() for column in columns.values()), strict=True)
    links = zip(s.stream.queue.tolist(), s.stream.tag.tolist(), s.producer.tolist(), strict=True)
    rows = []
    for i, (command, values, (queue, tag, producer)) in enumerate(
        zip(s.stream.commands, numbers, links, strict=True)
    ):
        operation = s.stream.operations[tag]
        rows.append(
            {
                "unit": UNITS[Queue(queue)],
                "position": i - s.stream.first[queue],
                "command": command.MNEMONIC,
                "op": operation.name,
                "phase": operation.phase,
                "location": operation.location,
                **dict(zip(columns, values, strict=True)),
                "posted_by": place(s, producer) if producer >= 0 else "",
                "fields": " ".join(f"{k}={v}" for k, v in fields_of(command).items()),
            }
        )
    return _table(rows)


def operations_csv(simulation: Simulation) -> str:
    """A row per source operation, in program order.

    Busy cycles have a column per unit, bytes one per memory, direction and purpose: DRAM's are
    those moved, in whole bursts.
    """
    counters = Counters(simulation)
    bytes_of = _bytes_by_purpose(counters)
    rows = []
    for row, moved in zip(operation_rows(counters), bytes_of, strict=True):
        busy = {f"busy_{unit}": cycles for unit, cycles in row.pop("busy").items()}
        rows.append(row | busy | moved)
    return _table(rows)


def _bytes_by_purpose(counters: Counters) -> list[dict[str, int]]:
    """For each operation a column per memory, direction and purpose."""
    size = len(counters.simulation.stream.operations)
    found: list[dict[str, int]] = [{} for _ in range(size)]
    for memory, ways in (("dram", counters.dram_traffic()), ("spm", counters.scratchpad_traffic)):
        for way, traffic in ways.items():
            purposes = list(traffic.by_purpose())
            by_operation = traffic.by_key_and_purpose(counters.tag, size)
            for row, moved in zip(found, by_operation, strict=True):
                row |= {f"{memory}_{way}_{p}": moved.get(p, 0) for p in purposes}
    return found


def _table(rows: Iterable[dict[str, Any]]) -> str:
    rows = list(rows)
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()
