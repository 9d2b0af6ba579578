"""A step works on the memory that its program accounts for, and allocates nothing."""

from __future__ import annotations

import ctypes
import gc
import os
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssft.compiler import Recipe
from ssft.compiler.api import compile_file
from ssft.compiler.backends.cpu import CpuProgram
from ssft.compiler.backends.cpu.arena import Lifetime, alive, plan
from ssft.compiler.backends.cpu.cache.store import DIRECTORY
from ssft.compiler.backends.cpu.elf import undefined_symbols
from ssft.runtime import Session

MODEL = Path(__file__).parents[4] / "examples" / "tiny_llama.py"
BOOKKEEPING = 100_000
"""Bytes of Python objects that a session makes besides arrays: addresses, lists of calls."""
TRANSIENT = 1 << 16
"""Bytes of Python objects that steps use again and again: lists of addresses, free objects."""


class _Mallinfo2(ctypes.Structure):
    """``struct mallinfo2`` of glibc (malloc.h)."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def heap_bytes() -> int:
    """Bytes that the C library has given out and not got back."""
    function = ctypes.CDLL(None).mallinfo2
    function.restype = _Mallinfo2
    found = function()
    return found.uordblks + found.hblkhd


def growth(action: Callable[[], object], times: int = 400) -> dict[str, int]:
    """What `times` runs of `action` leave allocated, and the most that one had, in bytes."""
    tracemalloc.start()
    for _ in range(times):
        action()
    gc.collect()  # also empties Python's lists of free objects
    start, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    for _ in range(times):
        action()
    gc.collect()
    end, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    heap = heap_bytes()
    for _ in range(times):
        action()
    return {"python": end - start, "peak": peak - start, "heap": heap_bytes() - heap}


def measured() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as directory:
        os.environ[DIRECTORY], before = directory, os.environ[DIRECTORY]
        plan = compile_file(MODEL, Recipe("s2ft", ratio=0.1))
        session = Session.from_text(plan.text(), plan.stored_weights())
        os.environ[DIRECTORY] = before
        (code,) = Path(directory).glob("code-*")
        calls = undefined_symbols(code.read_bytes()[64:])
    random = np.random.default_rng(0)
    batch = {a.name: random.integers(0, 16, a.shape) for a in session.signature.inputs}
    pointers = session._pointers(batch, session._outputs)
    return {
        "account": account(session, batch),
        "run": growth(lambda: session._executor.run(pointers)),
        "step": growth(lambda: session.step(batch)),
        "calls": calls,
    }


def account(session: Session, batch: dict[str, np.ndarray]) -> dict[str, Any]:
    """Differences between what there is and what the program says, in bytes."""
    program, memory = session._executor, session.memory
    assert isinstance(program, CpuProgram) and memory is not None
    arrays = sum(array.nbytes for array in [*session._arrays, *batch.values()])
    constants = sum(len(buffer.data) for buffer in program.schedule.buffers)
    tracemalloc.start()
    start, _ = tracemalloc.get_traced_memory()
    session.step(batch)
    end, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    parts = memory.arguments + memory.outputs + memory.arena + memory.constants
    return {
        "arguments": arrays - memory.arguments,
        "outputs": sum(array.nbytes for _, array in session._outputs.pairs) - memory.outputs,
        "constants": constants - memory.constants,
        "total": parts - memory.total,
        "first step": end - start - memory.arena,
        "waste": memory.arena / memory.alive,
    }


@pytest.fixture(scope="module")
def found(isolated: Any) -> dict[str, Any]:
    return isolated("measured")


def test_the_account_is_what_is_there(found: dict[str, Any]):
    differences = dict(found["account"])
    assert 0 <= differences.pop("first step") < BOOKKEEPING
    assert 1 <= differences.pop("waste") <= 1.03
    assert differences == {"arguments": 0, "outputs": 0, "constants": 0, "total": 0}


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc 2.33")
@pytest.mark.parametrize("what", ["run", "step"])
def test_a_warmed_up_step_allocates_nothing(found: dict[str, Any], what: str):
    assert found[what]["python"] < 4096  # over hundreds of steps
    assert found[what]["peak"] < TRANSIENT
    assert found[what]["heap"] < 2048


def test_generated_code_calls_no_allocator(found: dict[str, Any]):
    assert "sgemm_" in found["calls"] or "GOMP_parallel" in found["calls"]  # the list is no stub
    assert not [name for name in found["calls"] if "alloc" in name or name in ("free", "mmap")]


def test_what_is_alive_at_once():
    assert alive({}) == 0
    assert alive({0: Lifetime(8, 0, 0), 1: Lifetime(16, 1, 1)}) == 16
    assert alive({0: Lifetime(8, 0, 1), 1: Lifetime(16, 1, 1), 2: Lifetime(4, 2, 3)}) == 24
    wanted = {0: Lifetime(64, 0, 4), 1: Lifetime(128, 1, 2), 2: Lifetime(128, 3, 4)}
    assert alive(wanted) == plan(wanted).bytes == 192
