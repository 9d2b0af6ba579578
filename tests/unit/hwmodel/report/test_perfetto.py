from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hw_random_programs import SLOT_BYTES, SPM_BYTES, random_program

from ssft.hwmodel import isa
from ssft.hwmodel.config import load_machine
from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa import Queue
from ssft.hwmodel.report import report, trace, write_trace
from ssft.hwmodel.timing.events import Simulation, simulate

CRITICAL = 5


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return simulate(random_program(Random(3), 150), load_machine("ssft-server"))


@pytest.fixture(scope="module")
def events(simulation: Simulation) -> list[dict[str, Any]]:
    return json.loads(json.dumps(trace(simulation), allow_nan=False))["traceEvents"]


def of(events: list[dict[str, Any]], phase: str) -> list[dict[str, Any]]:
    return [event for event in events if event["ph"] == phase]


def test_units_are_tracks(events: list[dict[str, Any]]):
    names = {e["tid"]: e["args"]["name"] for e in of(events, "M") if e["name"] == "thread_name"}
    assert names == {0: "dma_in", 1: "dma_out", 2: "tensor", 3: "vector", 4: "index",
                     5: "critical path"}  # fmt: skip


def test_slices_of_a_track_do_not_overlap(events: list[dict[str, Any]]):
    tracks = defaultdict(list)
    for event in of(events, "X"):
        tracks[event["tid"]].append((round(event["ts"] * 1000), round(event["dur"] * 1000)))
    assert len(tracks) == 6
    for slices in tracks.values():
        for (begin, length), (after, _) in pairwise(sorted(slices)):
            assert begin + length <= after


def test_every_command_is_drawn_where_it_ran(simulation: Simulation, events: list[dict[str, Any]]):
    s, period = simulation, 1e6 / simulation.machine.clock.frequency
    for queue in Queue:
        drawn = [e for e in events
                 if e.get("tid") == queue and e["ph"] in "Xi" and e["cat"] != "wait"]  # fmt: skip
        commands = s.stream.commands[s.of(queue)]
        assert [e["args"]["command"] for e in drawn] == [c.MNEMONIC for c in commands]
        begins = [start * period for start in s.start[s.of(queue)].tolist()]
        assert [e["ts"] for e in drawn] == pytest.approx(begins, abs=1e-3)
        assert [e["args"]["cycles"] for e in drawn] == (s.leave - s.start)[s.of(queue)].tolist()


def test_a_slice_tells_its_source(simulation: Simulation, events: list[dict[str, Any]]):
    gemm = next(e for e in of(events, "X") if e.get("args", {}).get("command") == "gemm")
    command = next(c for c in simulation.stream.commands if isinstance(c, isa.Gemm))
    operation = simulation.program.operations[command.tag]
    assert gemm["name"] == operation.name
    assert gemm["cat"] == gemm["args"]["phase"] == operation.phase
    assert gemm["args"]["location"] == operation.location
    assert gemm["args"]["shape"] == command.shape


def test_waits_are_drawn_with_who_ended_them(simulation: Simulation, events: list[dict[str, Any]]):
    waits = [e for e in of(events, "X") if e["cat"] == "wait"]
    assert len(waits) == int((simulation.producer >= 0).sum()) > 0
    for event in waits:
        unit, position = event["args"]["posted_by"].rsplit(" ", 1)
        queue = Queue[unit.upper()]
        assert simulation.program.queues[queue][int(position)].post is not None or isinstance(
            simulation.program.queues[queue][int(position)], isa.Post
        )


def test_the_critical_path_fills_its_track(simulation: Simulation, events: list[dict[str, Any]]):
    total = sum(e["dur"] for e in of(events, "X") if e["tid"] == CRITICAL)
    assert total == pytest.approx(simulation.seconds * 1e6, abs=1e-3)


def test_counters_move_all_bytes_and_end_empty(
    simulation: Simulation, events: list[dict[str, Any]]
):
    tracks = defaultdict(list)
    for event in of(events, "C"):
        tracks[event["name"]].append((event["ts"], *event["args"].values()))
    assert set(tracks) == {"SPM bytes", "DRAM read B/s", "DRAM write B/s"}
    for steps in tracks.values():
        assert steps[-1][1] == 0
        assert [ts for ts, _ in steps] == sorted(ts for ts, _ in steps)
    assert max(level for _, level in tracks["SPM bytes"]) == SPM_BYTES - SLOT_BYTES
    peak, moved = simulation.machine.dram.bandwidth, report(simulation)["dram_moved_bytes"]
    for way, by_purpose in moved.items():
        steps = tracks[f"DRAM {way} B/s"]
        assert max(rate for _, rate in steps) <= peak
        spans = pairwise(steps)
        seen = sum(rate * (end - begin) for (begin, rate), (end, _) in spans) / 1e6
        # Times are whole nanoseconds, and rates whole bytes per second.
        assert seen == pytest.approx(sum(by_purpose.values()), rel=0.02)


def test_a_trace_is_written_whole_or_not_at_all(simulation: Simulation, tmp_path: Path):
    path = tmp_path / "trace.json"
    write_trace(simulation, path)
    assert json.loads(path.read_text()) == json.loads(json.dumps(trace(simulation)))
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(MachineError, match="cannot write"):
        write_trace(simulation, tmp_path / "missing" / "trace.json")
