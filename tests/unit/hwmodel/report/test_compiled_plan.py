"""A compiled step: what the machine counts is what the plan's own report says."""

from __future__ import annotations

import math
from collections import defaultdict

import pytest
from side_by_side import EXAMPLES

from ssft.compiler import Recipe, compile_file
from ssft.compiler.backends.hw import compile_program
from ssft.hwmodel.config import load_machine
from ssft.hwmodel.isa import GatherRows, Queue
from ssft.hwmodel.isa.dtypes import ELEMENT_BYTES
from ssft.hwmodel.report import report
from ssft.hwmodel.timing.counters import Counters
from ssft.hwmodel.timing.events import Simulation, simulate

F32 = 4
COUNTER = 8
"""Bytes of the step counter, which is optimizer state, too."""


@pytest.fixture(scope="module", params=["s2ft", "full"])
def plan(request: pytest.FixtureRequest):
    return compile_file(EXAMPLES / "tiny_llama.py", Recipe(request.param))


@pytest.fixture(scope="module", params=["ssft-server", "ssft-edge"])
def simulation(plan, request: pytest.FixtureRequest) -> Simulation:
    machine = load_machine(request.param)
    return simulate(compile_program(str(plan.module), machine), machine)


def test_multiply_adds_of_each_phase_are_the_plans(plan, simulation: Simulation):
    flops, phases = plan.report()["flops"], report(simulation)["phases"]
    for phase in ("forward", "input_gradient", "weight_gradient"):
        assert 2 * phases[phase]["macs"] == flops[phase] > 0


def test_what_is_written_back_is_what_trains(plan, simulation: Simulation):
    found, trains = report(simulation), plan.report()["trainable_parameters"]
    assert found["elements_updated"] == trains
    writes = Counters(simulation).traffic_by_buffer("dram_useful_bytes")["write"]
    dram = simulation.program.dram
    # Copies of weights in the tensor unit's format are written, too; only the originals count here.
    weights = [count for buffer, count in zip(dram, writes, strict=False)
               if buffer.purpose == "weight" and buffer.argument is not None]  # fmt: skip
    assert sum(weights) == F32 * trains
    assert found["dram_bytes"]["write"]["optimizer"] == 2 * F32 * trains + COUNTER
    assert found["dram_bytes"]["read"]["optimizer"] >= 2 * F32 * trains


def test_every_weight_is_read_at_least_once(simulation: Simulation):
    """The original or its copy; not the tables of which rows are gathered."""
    counters = Counters(simulation)
    read = counters.traffic_by_buffer("dram_useful_bytes")["read"]
    gathered = {
        int(counters.buffer[i])
        for i, command in enumerate(simulation.stream.commands)
        if isinstance(command, GatherRows)
    }
    elements: defaultdict[int | None, float] = defaultdict(float)
    for i, buffer in enumerate(simulation.program.dram):
        argument = buffer.argument if buffer.mirror is None else buffer.mirror
        elements[argument] += read[i] / ELEMENT_BYTES[buffer.dtype]
    weights = [(i, buffer) for i, buffer in enumerate(simulation.program.dram)
               if buffer.purpose == "weight" and buffer.argument is not None]  # fmt: skip
    assert weights
    for i, buffer in weights:
        if i not in gathered:
            assert elements[buffer.argument] >= math.prod(buffer.shape), buffer.name


def test_nothing_is_read_from_or_written_to_nowhere(simulation: Simulation):
    for counts in Counters(simulation).traffic_by_buffer().values():
        assert counts[-1] == 0


def test_units_never_do_two_things_and_slots_fit(simulation: Simulation):
    for queue in Queue:
        mine = simulation.of(queue)
        assert (simulation.start[mine][1:] >= simulation.leave[mine][:-1]).all()
    found = report(simulation)
    assert 0 < found["peak_live_spm_bytes"] <= found["peak_spm_bytes"]
    assert found["peak_spm_bytes"] <= simulation.machine.scratchpad.bytes


def test_the_step_lies_between_its_bounds(simulation: Simulation):
    s = simulation
    bounds = [simulate(s.program, s.machine, sharing=how).cycles for how in ("none", "halves")]
    assert bounds[0] <= s.cycles <= bounds[1]
    assert report(s)["closed_form"]["busiest_unit_cycles"] <= s.cycles
