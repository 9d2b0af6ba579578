"""Runs of which repetitions are written down, beside runs of which every command is simulated."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hw_random_programs import random_program

from ssft.hwmodel import isa
from ssft.hwmodel.config import load_machine
from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa import Program
from ssft.hwmodel.report import report
from ssft.hwmodel.timing.events import Simulation, simulate
from ssft.hwmodel.timing.steady_state import SteadyState

MACHINE = load_machine("ssft-edge", ["dram.latency=50ns"])
SEEDS = range(12)
RECORDS = ("issue", "start", "leave", "complete", "producer", "order")


def repeated(body: Program, count: int, *, stretched: int | None = None) -> Program:
    """`body` again and again; repetition `stretched` has one operation more."""
    commands = [c for queue in body.queues.values() for c in queue]
    posts = Counter(c.post for c in commands if c.post is not None)
    for command in commands:
        if type(command) is isa.Post:
            posts[command.semaphore] += command.amount
    made = replace(body, queues={queue: [] for queue in isa.Queue}, operations=[])
    for number in range(count):
        for queue, stream in body.queues.items():
            for command in stream:
                wait = command.wait
                value = command.wait_value + (0 if wait is None else number * posts[wait])
                tag = command.tag + number * len(body.operations)
                made.queues[queue].append(replace(command, wait_value=value, tag=tag))
        if number == stretched:
            stream = made.queues[isa.Queue.VECTOR]
            stream.append(isa.Vector(tag=tag, program=0, arguments=0))
        made.operations += body.operations
    return made


def both(program: Program) -> tuple[Simulation, Simulation]:
    return simulate(program, MACHINE), simulate(program, MACHINE, stitch=False)


def differences(one: Simulation, other: Simulation) -> list[str]:
    found = [n for n in RECORDS if not np.array_equal(getattr(one, n), getattr(other, n))]
    return found + (["reached"] if one.reached != other.reached else [])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("stretched", [None, 9])
def test_repetitions_are_as_if_simulated(seed: int, stretched: int | None) -> None:
    program = repeated(random_program(Random(seed), 60), 24, stretched=stretched)
    made, simulated = both(program)
    assert not differences(made, simulated)
    assert report(made) == report(simulated)
    assert simulated.skipped == 0


def test_most_programs_that_repeat_have_periods_to_skip() -> None:
    programs = [repeated(random_program(Random(seed), 60), 24) for seed in SEEDS]
    assert sum(simulate(p, MACHINE).skipped > len(p.operations) for p in programs) > len(SEEDS) / 2


def test_commands_simulated_do_not_grow_with_the_number_of_repetitions() -> None:
    body = random_program(Random(next(iter(SEEDS))), 60)
    simulated = []
    for count in (24, 48, 96):
        made = simulate(repeated(body, count), MACHINE)
        simulated.append(len(made.stream) - made.skipped)
    assert simulated[0] == simulated[1] == simulated[2]


def at_the_same_command(steady: SteadyState, now: int) -> int:
    """A state that leaves out when anything will be done."""
    return int(steady._alike[steady._loop.head[steady.anchor]])


@pytest.mark.parametrize("wrong", ["one period more", "any time"])
def test_a_wrong_period_is_seen(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    periods = SteadyState._periods
    if wrong == "one period more":
        monkeypatch.setattr(SteadyState, "_periods", lambda *a: max(periods(*a) + 1, 1))
    else:
        monkeypatch.setattr(SteadyState, "_key", at_the_same_command)
    found = 0
    for seed in SEEDS:
        program = repeated(random_program(Random(seed), 60), 24, stretched=9)
        simulated = simulate(program, MACHINE, stitch=False)
        try:
            found += bool(differences(simulate(program, MACHINE), simulated))
        except (IndexError, ValueError, MachineError):
            found += 1
    assert found
