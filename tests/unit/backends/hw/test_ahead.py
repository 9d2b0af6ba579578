"""Slots are reserved earlier where there is room, and steps become shorter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from side_by_side import EXAMPLES

from ssft.compiler import Recipe, compile_file
from ssft.compiler.backends.hw import compile, compile_program
from ssft.compiler.backends.hw.memory.ahead import FULLEST, begin_earlier
from ssft.compiler.backends.hw.memory.allocate import ALIGNMENT, Lifetime
from ssft.hwmodel.config import load_machine
from ssft.hwmodel.timing.events import simulate


@st.composite
def kernels(draw):
    count = draw(st.integers(1, 12))
    starts = [draw(st.integers(max(0, at - 1), at)) for at in range(count)]
    sizes = st.integers(1, 40).map(lambda units: units * ALIGNMENT)
    slots = [
        Lifetime(draw(sizes), start, at)
        for at, start in enumerate(starts)
        for _ in range(draw(st.integers(0, 3)))
    ]
    others = []
    for _ in range(draw(st.integers(0, 4))):
        first = draw(st.integers(0, count - 1))
        others.append(Lifetime(draw(sizes), first, draw(st.integers(first, count - 1))))
    return starts, slots, others, draw(st.integers(1, 400)) * ALIGNMENT


def occupied(slots, others, starts):
    found = np.zeros(len(starts), dtype=np.int64)
    for entry in others:
        found[entry.first : entry.last + 1] += entry.bytes
    for entry in slots:
        found[starts[entry.last] : entry.last + 1] += entry.bytes
    return found


@given(kernels())
def test_only_where_there_is_room(case):
    starts, slots, others, capacity = case
    found = begin_earlier(starts, slots, others, capacity)
    before, after = (occupied(slots, others, s) for s in (starts, found))
    assert all(0 <= old - new <= 1 for old, new in zip(starts, found, strict=True))
    assert all(after[after > before] <= FULLEST * capacity)
    if capacity >= 2 * sum(entry.bytes for entry in [*slots, *others]):
        assert found == [max(start - 1, 0) for start in starts]


@pytest.mark.parametrize("machine", ["ssft-server", "ssft-a100area"])
def test_steps_are_shorter(machine, monkeypatch):
    plan = compile_file(EXAMPLES / "tiny_llama.py", Recipe("s2ft")).text()
    config = load_machine(machine)
    ahead = simulate(compile_program(plan, config), config).cycles
    monkeypatch.setattr(compile, "begin_earlier", lambda starts, *_: list(starts))
    assert ahead < 0.99 * simulate(compile_program(plan, config), config).cycles
