"""Energy is counters times coefficients, and nothing else."""

from __future__ import annotations

from random import Random

import pytest
from hw_random_programs import random_program

from ssft.hwmodel.config import load_machine, preset_names
from ssft.hwmodel.energy import Energy, energy
from ssft.hwmodel.isa import Program
from ssft.hwmodel.timing.counters import Counters
from ssft.hwmodel.timing.events import simulate

COEFFICIENTS = [
    key
    for key in load_machine("ssft-server").constants
    if key.startswith("energy.")
    and key not in ("energy.scratchpad.exponent", "energy.noc.distance", "energy.mac.fixed20")
]


@pytest.fixture(scope="module")
def program() -> Program:
    return random_program(Random(11), 120)


def cost(program: Program, preset: str = "ssft-server", *changes: str) -> Energy:
    return energy(Counters(simulate(program, load_machine(preset, changes))))


@pytest.mark.parametrize("key", COEFFICIENTS)
def test_a_coefficient_of_zero_removes_exactly_its_part(program: Program, key: str):
    before = {term.key: term.joules for term in cost(program).terms}
    assert before[key] > 0
    after = {term.key: term.joules for term in cost(program, "ssft-server", f"{key}=0").terms}
    assert after == before | {key: 0}


@pytest.mark.parametrize("key", COEFFICIENTS)
def test_sensitivity_is_what_a_change_does(program: Program, key: str):
    base = cost(program)
    value = load_machine("ssft-server").provenance(key).value
    doubled = cost(program, "ssft-server", f"{key}={2 * value}")
    assert doubled.joules / base.joules - 1 == pytest.approx(base.sensitivity()[key], rel=1e-9)


@pytest.mark.parametrize("preset", preset_names())
def test_every_sum_is_the_total(program: Program, preset: str):
    found = cost(program, preset)
    assert sum(found.by_component().values()) == pytest.approx(found.joules, rel=1e-12)
    assert sum(found.by_phase().values()) == pytest.approx(found.joules, rel=1e-12)
    assert sum(found.sensitivity().values()) == pytest.approx(1, rel=1e-12)
    assert min(term.joules for term in found.terms) >= 0


def test_terms_are_counters_times_coefficients(program: Program):
    machine = load_machine("ssft-server")
    counters = Counters(simulate(program, machine))
    joules = {term.key: term.joules for term in energy(counters).terms}
    macs = counters.total("bf16_macs")
    assert joules["energy.mac.bf16"] == pytest.approx(machine.energy.mac.bf16 * macs)
    moved = counters.total("dram_moved_bytes")
    assert joules["energy.dram.core"] == pytest.approx(machine.energy.dram.core * 8 * moved)
    seconds = counters.simulation.seconds
    leakage = machine.energy.leakage.scratchpad
    assert joules["energy.leakage.scratchpad"] == pytest.approx(leakage * seconds)
    # The scratchpad's coefficient is for a bank of 1 MiB and grows with the bank.
    bank = machine.scratchpad.bytes / machine.scratchpad.banks
    read = machine.energy.scratchpad.read * (bank / 2**20) ** 0.5
    assert joules["energy.scratchpad.read"] == pytest.approx(
        read * counters.total("spm_read_bytes")
    )


def test_a_machine_that_multiplies_in_fixed_point_pays_for_that(program: Program):
    keys = {term.key for term in cost(program, "ssft-server", "tensor.multiplier=fixed20").terms}
    assert "energy.mac.fixed20" in keys
    assert "energy.mac.bf16" not in keys


def test_nothing_costs_nothing():
    assert cost(Program("any", "bf16")).joules == 0
    assert set(cost(Program("any", "bf16")).sensitivity().values()) == {0.0}
