"""Addresses and tables of compiled steps: what lives together lies apart, all is in range."""

from __future__ import annotations

from itertools import combinations

import pytest
from side_by_side import EXAMPLES

from ssft.compiler import Recipe, compile_file
from ssft.compiler.backends.hw import compile_program
from ssft.hwmodel.config import load_machine
from ssft.hwmodel.isa import DramBuffer, Program, SpmSlot
from ssft.hwmodel.isa.check import problems

MACHINES = ("ssft-server", "ssft-edge", "scratchpad.bytes=96KiB")


@pytest.fixture(scope="module", params=["full", "union"])
def plan_text(request: pytest.FixtureRequest) -> str:
    return compile_file(EXAMPLES / "tiny_llama.py", Recipe(request.param)).text()


@pytest.fixture(scope="module", params=MACHINES)
def compiled(plan_text: str, request: pytest.FixtureRequest):
    settings = [request.param] if "=" in request.param else []
    machine = load_machine("ssft-edge" if settings else request.param, settings)
    return compile_program(plan_text, machine), machine


def overlap(one: SpmSlot | DramBuffer, other: SpmSlot | DramBuffer) -> bool:
    return one.address < other.address + other.bytes and other.address < one.address + one.bytes


def test_slots_that_live_together_lie_apart(compiled):
    program: Program = compiled[0]
    assert len(program.spm) > 50
    for one, other in combinations(program.spm, 2):
        if one.first <= other.last and other.first <= one.last:
            assert not overlap(one, other), (one, other)


def test_the_lower_bound_is_one(compiled):
    program, machine = compiled
    assert 0 < program.spm_lower_bound <= program.spm_bytes <= machine.scratchpad.bytes
    for moment in range(len(program.operations)):
        live = sum(s.bytes for s in program.spm if s.first <= moment <= s.last)
        assert live <= program.spm_bytes


def test_dram_buffers_lie_apart(compiled):
    program: Program = compiled[0]
    for one, other in combinations(program.dram, 2):
        assert not overlap(one, other), (one.name, other.name)


def test_the_program_is_well_formed(compiled):
    program, machine = compiled
    assert problems(program, machine) == []


def test_every_argument_and_result_has_its_place(compiled, plan_text: str):
    program: Program = compiled[0]
    arguments = [b.argument for b in program.dram if b.argument is not None]
    assert sorted(arguments) == list(range(len(arguments)))
    assert [b.result for b in program.dram if b.result is not None] == [0]
    masters = {b.argument: b for b in program.dram if b.argument is not None}
    for copy in (b for b in program.dram if b.mirror is not None):
        assert copy.shape == masters[copy.mirror].shape
        assert copy.dtype == "bf16"


def test_double_buffering_is_said(compiled):
    program: Program = compiled[0]
    assert all(slot.bytes % slot.buffers == 0 for slot in program.spm)
    if compiled[1].name == "ssft-edge":
        assert any(slot.buffers == 2 for slot in program.spm)
