"""Updates go into the arguments' memory, and whatever still needs the old value reads it first.

Aliasing outputs with inputs without an analysis trains silently wrong; every case here is one that
goes wrong if a write comes too early.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from programs import argument, metric, run, step

from ssft.compiler.backends.cpu import compile_step

T = "tensor<64xf32>"
UPDATE = f"{T} {{ssft.updates_arg = %d : i64}}"


def elementwise(result: str, operation: str, a: str, b: str) -> str:
    identity = "affine_map<(d0) -> (d0)>"
    return f"""
      %{result}_e = tensor.empty() : {T}
      %{result} = linalg.generic {{indexing_maps = [{identity}, {identity}, {identity}],
          iterator_types = ["parallel"]}} ins(%{a}, %{b} : {T}, {T}) outs(%{result}_e : {T}) {{
      ^bb0(%x: f32, %y: f32, %o: f32):
        %z = arith.{operation} %x, %y : f32
        linalg.yield %z : f32
      }} -> {T}"""


def trainable(*names: str) -> list[str]:
    return [argument(name, T, "trainable") for name in names]


def arrays(count: int) -> list[np.ndarray]:
    return [np.random.default_rng(i).standard_normal(64).astype(np.float32) for i in range(count)]


def check_old_value_is_read_after_the_update() -> None:
    body = elementwise("new", "subf", "w", "g") + elementwise("use", "mulf", "w", "w")
    text = step(
        [*trainable("w"), argument("g", T)],
        [metric(T), UPDATE % 0],
        f"{body}\n return %use, %new : {T}, {T}",
    )
    w, g = arrays(2)
    old = w.copy()
    _, (value,) = run(text, [w, g])
    assert np.array_equal(w, old - g)
    assert np.array_equal(value, old * old)


def check_two_updates_need_each_others_old_value() -> None:
    body = elementwise("a1", "addf", "a", "b") + elementwise("b1", "subf", "b", "a")
    text = step(
        trainable("a", "b"), [UPDATE % 0, UPDATE % 1], f"{body}\n return %a1, %b1 : {T}, {T}"
    )
    a, b = arrays(2)
    old_a, old_b = a.copy(), b.copy()
    run(text, [a, b])
    assert np.array_equal(a, old_a + old_b)
    assert np.array_equal(b, old_b - old_a)


def check_swap() -> None:
    text = step(trainable("a", "b"), [UPDATE % 0, UPDATE % 1], f"return %b, %a : {T}, {T}")
    a, b = arrays(2)
    old_a, old_b = a.copy(), b.copy()
    run(text, [a, b])
    assert np.array_equal(a, old_b)
    assert np.array_equal(b, old_a)


def check_moment_feeds_weight() -> None:
    """m' = m + g, w' = w - m' as in momentum; m is updated in place before w reads m'."""
    body = elementwise("m1", "addf", "m", "g") + elementwise("w1", "subf", "w", "m1")
    text = step(
        [*trainable("w", "m"), argument("g", T)],
        [UPDATE % 0, UPDATE % 1],
        f"{body}\n return %w1, %m1 : {T}, {T}",
    )
    w, m, g = arrays(3)
    old_w, old_m = w.copy(), m.copy()
    program, _ = run(text, [w, m, g])
    assert np.array_equal(m, old_m + g)
    assert np.array_equal(w, old_w - (old_m + g))
    assert program.arena_bytes == 0, "nothing needs a temporary"


def check_slice_of_the_old_value_is_read() -> None:
    """The lower half is replaced by the upper one, and the upper half by the lower one."""
    half = "tensor<32xf32>"
    body = f"""
      %lo = tensor.extract_slice %w[0] [32] [1] : {T} to {half}
      %hi = tensor.extract_slice %w[32] [32] [1] : {T} to {half}
      %w1 = tensor.insert_slice %hi into %w[0] [32] [1] : {half} into {T}
      %w2 = tensor.insert_slice %lo into %w1[32] [32] [1] : {half} into {T}
      return %w2 : {T}"""
    (w,) = arrays(1)
    old = w.copy()
    run(step(trainable("w"), [UPDATE % 0], body), [w])
    assert np.array_equal(w, np.concatenate([old[32:], old[:32]]))


def check_inputs_are_never_written() -> None:
    """A result that could be computed in the memory of an input is not."""
    body = elementwise("use", "mulf", "i", "i")
    text = step([argument("i", T)], [metric(T)], f"{body}\n return %use : {T}")
    (i,) = arrays(1)
    before = i.copy()
    _, (value,) = run(text, [i])
    assert np.array_equal(i, before)
    assert np.array_equal(value, before * before)


def check_argument_as_result() -> None:
    """The old weight itself is asked for, next to its update."""
    body = elementwise("new", "addf", "w", "g")
    text = step(
        [*trainable("w"), argument("g", T)],
        [metric(T), UPDATE % 0],
        f"{body}\n return %w, %new : {T}, {T}",
    )
    w, g = arrays(2)
    old = w.copy()
    _, (value,) = run(text, [w, g])
    assert np.array_equal(value, old)
    assert np.array_equal(w, old + g)


def check_first_part_as_result() -> None:
    """A result that begins a temporary; the memory behind the result is not the step's."""
    half = "tensor<32xf32>"
    body = f"""{elementwise("use", "mulf", "i", "i")}
      %lo = tensor.extract_slice %use[0] [32] [1] : {T} to {half}
      return %lo : {half}"""
    program = compile_step(step([argument("i", T)], [metric(half)], body))
    (i,) = arrays(1)
    memory = np.full(64, 7.0, np.float32)
    program.run([i.ctypes.data, memory.ctypes.data])
    assert np.array_equal(memory[:32], (i * i)[:32])
    assert np.all(memory[32:] == 7.0)


def check_scatter_after_reading() -> None:
    """Rows are scattered into a table from which other rows were gathered before."""
    table = "tensor<8x4xf32>"
    body = f"""
      %rows = "ssft.gather"(%t, %i) {{dim = 0 : i64}} : ({table}, tensor<2xi64>) -> tensor<2x4xf32>
      %new = "ssft.scatter"(%t, %j, %rows) {{dim = 0 : i64}}
        : ({table}, tensor<2xi64>, tensor<2x4xf32>) -> {table}
      %again = "ssft.gather"(%t, %j) {{dim = 0 : i64}}
        : ({table}, tensor<2xi64>) -> tensor<2x4xf32>
      return %again, %new : tensor<2x4xf32>, {table}"""
    text = step(
        [
            argument("t", table, "trainable"),
            argument("i", "tensor<2xi64>"),
            argument("j", "tensor<2xi64>"),
        ],
        [metric("tensor<2x4xf32>"), f"{table} {{ssft.updates_arg = 0 : i64}}"],
        body,
    )
    t = np.arange(32, dtype=np.float32).reshape(8, 4)
    i, j = np.array([1, 2]), np.array([2, 7])
    old = t.copy()
    _, (again,) = run(text, [t, i, j])
    wanted = old.copy()
    wanted[j] = old[i]
    assert np.array_equal(t, wanted)
    assert np.array_equal(again, old[j])


def check_repeated_indices_add_up() -> None:
    table = "tensor<8x4xf32>"
    body = f"""
      %new = "ssft.scatter_add"(%t, %i, %u) {{dim = 0 : i64}}
        : ({table}, tensor<3xi64>, tensor<3x4xf32>) -> {table}
      return %new : {table}"""
    text = step(
        [
            argument("t", table, "trainable"),
            argument("i", "tensor<3xi64>"),
            argument("u", "tensor<3x4xf32>"),
        ],
        [f"{table} {{ssft.updates_arg = 0 : i64}}"],
        body,
    )
    t = np.arange(32, dtype=np.float32).reshape(8, 4)
    i, u = np.array([5, 1, 5]), np.ones((3, 4), np.float32)
    wanted = t.copy()
    np.add.at(wanted, i, u)
    program, _ = run(text, [t, i, u])
    assert np.array_equal(t, wanted)
    assert program.arena_bytes == 0, "rows are added where they lie"


CHECKS = sorted(name for name in list(globals()) if name.startswith("check_"))


@pytest.mark.parametrize("name", CHECKS)
def test_update(isolated: Callable[..., Any], name: str) -> None:
    isolated(name)
