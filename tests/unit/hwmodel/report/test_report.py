"""The JSON report: its contract, and that its figures agree with each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hw_random_programs import random_program

from ssft.hwmodel import isa
from ssft.hwmodel.config import load_machine, preset_names
from ssft.hwmodel.isa import Program, Queue
from ssft.hwmodel.isa.program import PHASES
from ssft.hwmodel.report import report
from ssft.hwmodel.timing.events import simulate

CONTRACT = {
    "cycles", "seconds", "energy_joules", "average_watts", "phases", "macs", "dram_bytes", "units",
    "peak_spm_bytes", "peak_dram_bytes", "ops",
}  # fmt: skip


def made(seed: int = 5, preset: str = "ssft-server", *changes: str, **more: Any) -> dict[str, Any]:
    program = random_program(Random(seed), 80)
    return report(simulate(program, load_machine(preset, changes)), **more)


@pytest.fixture(scope="module", params=preset_names())
def found(request: pytest.FixtureRequest) -> dict[str, Any]:
    return made(5, request.param)


def test_it_is_json_with_the_promised_keys(found: dict[str, Any]):
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert set(found) >= CONTRACT
    assert list(found["phases"]) == list(PHASES)
    for phase in found["phases"].values():
        assert set(phase) >= {"cycles", "macs", "dram_bytes", "energy_joules"}
    assert set(found["macs"]) >= {"executed", "masked", "padded"}
    assert set(found["dram_bytes"]) == {"read", "write"}
    assert list(found["units"]) == ["dma_in", "dma_out", "tensor", "vector", "index"]
    for unit in found["units"].values():
        assert list(unit) == ["busy", "wait_semaphore", "wait_memory", "idle"]


def test_phases_and_operations_add_up(found: dict[str, Any]):
    phases, ops = found["phases"].values(), found["ops"]
    read, write = (sum(found["dram_bytes"][way].values()) for way in ("read", "write"))
    assert sum(p["cycles"] for p in phases) == found["cycles"]
    assert sum(op["critical_cycles"] for op in ops) == found["cycles"]
    for parts in (phases, ops):
        assert sum(part["macs"] for part in parts) == found["macs"]["executed"]
        assert sum(part["dram_bytes"] for part in parts) == read + write
    assert sum(op["masked_macs"] for op in ops) == found["macs"]["masked"]
    assert sum(op["padded_macs"] for op in ops) == found["macs"]["padded"]
    for phase in PHASES:
        mine = [op for op in ops if op["phase"] == phase]
        assert sum(op["macs"] for op in mine) == found["phases"][phase]["macs"]
        assert sum(op["critical_cycles"] for op in mine) == found["phases"][phase]["cycles"]
    total = found["energy_joules"]
    assert sum(p["energy_joules"] for p in phases) == pytest.approx(total, rel=1e-12)
    static = sum(found["energy"]["by_component"][c] for c in ("leakage", "dram_background"))
    dynamic = sum(op["dynamic_joules"] for op in ops)
    assert dynamic + static == pytest.approx(total, rel=1e-12)


def test_scratchpad_bytes_add_up_by_unit_and_by_purpose(found: dict[str, Any]):
    for way, totals in found["spm_bytes"].items():
        units = found["spm_bytes_by_unit_and_purpose"][way]
        assert {unit: sum(purposes.values()) for unit, purposes in units.items()} == totals
        purposes = found["spm_bytes_by_purpose"][way]
        assert "none" in purposes
        for purpose, size in purposes.items():
            assert sum(unit.get(purpose, 0) for unit in units.values()) == size


def test_units_add_up(found: dict[str, Any]):
    for name, unit in found["units"].items():
        assert sum(unit.values()) == found["cycles"]
        assert sum(op["busy"][name] for op in found["ops"]) == unit["busy"]
        waits = found["waits"][name]
        compute = sum(n for other, n in waits.items() if not other.startswith("dma"))
        assert compute == unit["wait_semaphore"]
        assert sum(waits.values()) - compute <= unit["wait_memory"]
    path = found["critical_path"]
    assert sum(path["by_unit"].values()) == sum(path["by_cause"].values()) == found["cycles"]


def test_utilisation_is_what_it_says(found: dict[str, Any]):
    peak = found["machine"]["peak_flops"] * found["seconds"] / 2
    used = found["utilisation"]
    assert used["tensor"] == pytest.approx(found["macs"]["executed"] / peak, rel=1e-12)
    moved = sum(sum(part.values()) for part in found["dram_moved_bytes"].values())
    bandwidth = found["machine"]["dram_bandwidth"]
    assert used["dram"] == pytest.approx(moved / found["seconds"] / bandwidth, rel=1e-12)
    assert all(0 <= value <= 1 for value in used.values())


def test_no_operation_beats_its_roofline(found: dict[str, Any]):
    for op in found["ops"]:
        assert 0 <= op["roofline_fraction"] <= 1 + 1e-12
        assert 0 <= op["bandwidth_fraction"] <= 1 + 1e-12
        assert op["active_cycles"] <= found["cycles"]
    assert 0 < found["roofline"]["step"]["roofline_fraction"] <= 1
    points = found["roofline"]["points"]
    assert [p["op"] for p in points] == [i for i, op in enumerate(found["ops"]) if op["macs"]]


def test_banks_hold_what_the_scratchpad_holds(found: dict[str, Any]):
    banks = found["peak_live_spm_bytes_by_bank"]
    constants = found["machine"]["constants"]
    count, size = (constants[f"scratchpad.{key}"]["value"] for key in ("banks", "bytes"))
    assert len(banks) == count
    assert max(banks) <= -(-size // count)
    # Each bank's peak may be at another time.
    assert max(banks) <= found["peak_live_spm_bytes"] <= sum(banks)


def test_nothing_is_negative(found: dict[str, Any]):
    assert min(numbers(found)) >= 0


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from numbers(part)
    elif isinstance(value, int | float):
        yield value


def test_the_run_is_no_shorter_than_its_busiest_unit(found: dict[str, Any]):
    form = found["closed_form"]
    assert form["busiest_unit_cycles"] <= found["cycles"]
    parts = [max(p["compute"], p["dma"]) for p in form["phases"].values()]
    assert form["cycles"] == form["fill"] + sum(parts) + form["drain"]


def test_energy_per_token_and_per_updated_parameter():
    plain, given = made(7), made(7, tokens=64, updated_parameters=1000)
    assert plain["energy"]["per_token"] is None
    assert given["energy"]["per_token"] == given["energy_joules"] / 64
    assert given["energy"]["per_updated_parameter"] == given["energy_joules"] / 1000
    assert plain["elements_updated"] > 0
    updated = plain["energy_joules"] / plain["elements_updated"]
    assert plain["energy"]["per_updated_parameter"] == updated


def test_a_changed_machine_says_so():
    changed = made(5, "ssft-server", "dram.bandwidth=1TB/s")
    assert changed["machine"]["overrides"] == {"dram.bandwidth": 1e12}
    assert changed["machine"]["constants_sha256"] != made()["machine"]["constants_sha256"]
    assert any("dram.bandwidth" in line for line in changed["limits"])
    assert any("scheduled for 'any'" in line for line in changed["limits"])


def test_credited_sparsity_says_so():
    for switch, said in (("true", True), ("false", False)):
        lines = made(5, "transcode-server", f"baseline.enabled={switch}")["limits"]
        assert any("sparsity skips" in line for line in lines) is said


def test_an_empty_program_has_a_report():
    empty = report(simulate(Program("any", "bf16"), load_machine("ssft-server")))
    assert json.loads(json.dumps(empty, allow_nan=False))["cycles"] == 0


def test_commands_without_an_operation_are_counted():
    program = Program("any", "bf16")
    program.queues[Queue.DMA_IN] = [
        isa.Load2D(dram=0, spm=0, rows=1, row_bytes=64, pitch=64, tag=9)
    ]
    found = report(simulate(program, load_machine("ssft-server")))
    assert [op["name"] for op in found["ops"]] == ["(no source operation)"]
    assert found["dram_bytes"]["read"]["none"] == 64
