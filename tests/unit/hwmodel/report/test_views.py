"""Tables, comparisons and occupancy."""

from __future__ import annotations

import csv
import io
import json
from random import Random

import numpy as np
import pytest
from hw_random_programs import random_program

from ssft.hwmodel import isa
from ssft.hwmodel.config import load_machine
from ssft.hwmodel.isa import Program, Queue, SourceOp, SpmSlot
from ssft.hwmodel.isa.program import PURPOSES
from ssft.hwmodel.report import commands_csv, compare, operations_csv, report
from ssft.hwmodel.report.occupancy import (
    bandwidth,
    peak_bytes_by_bank,
    peak_scratchpad_bytes,
    scratchpad_occupancy,
)
from ssft.hwmodel.timing.events import Simulation, simulate


def run(preset: str = "ssft-server", seed: int = 3, *changes: str) -> Simulation:
    return simulate(random_program(Random(seed), 100), load_machine(preset, changes))


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_row_per_command():
    s = run()
    table = rows(commands_csv(s))
    assert len(table) == len(s.stream)
    for name in ("issue", "start", "leave", "complete", "work"):
        assert [int(row[name]) for row in table] == getattr(s, name).tolist()
    moved = report(s)["dram_moved_bytes"]
    assert sum(int(row["dram_moved_bytes"]) for row in table) == sum(
        sum(part.values()) for part in moved.values()
    )
    waiting = [row for row in table if row["posted_by"]]
    assert len(waiting) == int((s.producer >= 0).sum()) > 0
    assert all(int(row["waited"]) > 0 for row in waiting)


def test_a_row_per_operation():
    s = run()
    table, ops = rows(operations_csv(s)), report(s)["ops"]
    assert [row["name"] for row in table] == [op["name"] for op in ops]
    assert [int(row["busy_tensor"]) for row in table] == [op["busy"]["tensor"] for op in ops]
    assert [int(row["macs"]) for row in table] == [op["macs"] for op in ops]


def test_bytes_of_operations_have_columns_by_memory_direction_and_purpose():
    s = run()
    table, found = rows(operations_csv(s)), report(s)
    for memory, key in (("dram", "dram_moved_bytes"), ("spm", "spm_bytes_by_purpose")):
        for way, purposes in found[key].items():
            for purpose, size in purposes.items():
                assert sum(int(row[f"{memory}_{way}_{purpose}"]) for row in table) == size
            assert sum(purposes.values()) > max(purposes.values()) > 0


def test_bytes_are_compared_by_memory_direction_and_purpose():
    first, second = report(run(seed=3)), report(run(seed=4))
    made = {row.figure: (row.first, row.second) for row in compare(first, second).rows}
    for name, key in (("DRAM bytes", "dram_bytes"), ("scratchpad bytes", "spm_bytes_by_purpose")):
        for way in first[key]:
            totals = tuple(sum(found[key][way].values()) for found in (first, second))
            assert made[f"{name}, {way}"] == totals
            for purpose in PURPOSES:
                expected = tuple(found[key][way][purpose] for found in (first, second))
                assert made[f"{name}, {way}: {purpose}"] == expected


def test_an_empty_program_has_empty_tables():
    s = simulate(Program("any", "bf16"), load_machine("ssft-server"))
    assert commands_csv(s) == operations_csv(s) == ""


def test_a_report_equals_itself():
    same = compare(report(run()), report(run()))
    assert {row.ratio for row in same.rows} <= {1.0, None}
    assert (same.speed_up, same.energy_gain, same.notes) == (1.0, 1.0, ())


def test_ratios_are_second_over_first_and_gains_first_over_second():
    slow, fast = run("ssft-server", 3, "dram.bandwidth=50GB/s"), run()
    found = compare(report(slow), report(fast), ("slow", "fast"))
    assert found.speed_up == slow.seconds / fast.seconds > 1
    by_name = {row.figure: row for row in found.rows}
    assert by_name["time"].ratio == pytest.approx(1 / found.speed_up)
    assert by_name["multiply-adds executed"].ratio == 1
    assert found.to_json()["ratios"] == "fast / slow"
    json.dumps(found.to_json(), allow_nan=False)
    assert any("bandwidths differ" in note for note in found.notes)
    assert any("was changed: dram.bandwidth" in note for note in found.notes)


def test_different_work_is_said():
    found = compare(report(run(seed=3)), report(run(seed=4)))
    assert any("the work differs" in note for note in found.notes)
    edge = compare(report(run()), report(run("ssft-edge")))
    assert any("compare seconds" in note for note in edge.notes)


def small() -> Simulation:
    program = Program("any", "bf16", spm_bytes=100)
    program.operations = [SourceOp(f"op{i}", "test", "forward") for i in range(3)]
    program.queues[Queue.DMA_IN] = [
        isa.Load2D(dram=0, spm=0, rows=1, row_bytes=6400, pitch=6400, tag=tag) for tag in range(3)
    ]
    program.spm = [SpmSlot("a", 0, 64, "input", 0, 1), SpmSlot("b", 64, 36, "input", 1, 2)]
    return simulate(program, load_machine("ssft-server"))


def test_occupancy_follows_the_operations_of_slots():
    s = small()
    assert scratchpad_occupancy(s) == [
        (int(s.start[0]), 64),
        (int(s.start[1]), 100),
        (int(s.complete[1]), 36),
        (int(s.complete[2]), 0),
    ]
    assert peak_scratchpad_bytes(s) == 100


def test_bytes_that_two_slots_share_count_once():
    s = small()
    s.program.spm.append(SpmSlot("c", 32, 48, "input", 0, 2))
    assert [level for _, level in scratchpad_occupancy(s)] == [80, 100, 68, 0]
    s.program.spm.clear()
    assert scratchpad_occupancy(s) == []


def test_every_bank_has_a_peak_of_its_own():
    """Slots a, b and c are at 0 to 64, 64 to 100 and 32 to 80; all three are live at a time."""
    s = small()
    s.program.spm.append(SpmSlot("c", 32, 48, "input", 0, 2))
    four = load_machine("ssft-server", ["scratchpad.bytes=110", "scratchpad.banks=4"])
    assert peak_bytes_by_bank(simulate(s.program, four)) == [28, 28, 28, 16]
    s.program.spm[:] = s.program.spm[1:2]
    assert peak_bytes_by_bank(simulate(s.program, four)) == [0, 0, 20, 16]


def test_bandwidth_integrates_to_the_bytes():
    s = small()
    steps = bandwidth(s, s.of(Queue.DMA_IN), np.full(3, 6400))
    cycles = np.diff([cycle for cycle, _ in steps])
    rates = np.array([rate for _, rate in steps[:-1]])
    moved = (cycles * rates).sum() / s.machine.clock.frequency
    assert moved == pytest.approx(3 * 6400, rel=1e-6)
