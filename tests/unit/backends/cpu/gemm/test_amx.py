"""Products by the matrix unit: right for all sizes and strides, as precise as is promised."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

from matrices import Case, Multiplier, bound, from_bf16, runs, to_bf16, with_threads
from programs import argument, metric, run, step

from ssft.compiler.backends.cpu import CpuOptions, compile_step
from ssft.compiler.backends.cpu.gemm.goto import Blocks
from ssft.compiler.diagnostics import UserError

SETS = [
    ("amx", "bf16", "bf16"),
    ("amx", "f32", "bf16"),
    ("amx", "f32", "f32"),
    ("amx_split", "f32", "f32"),
]
SIZES = st.one_of(st.integers(1, 40), st.integers(1, 150))


@st.composite
def cases(draw: st.DrawFn, dtype: str) -> Case:
    k = draw(SIZES)
    blocks = Blocks(
        mc=draw(st.sampled_from([32, 64, 512])),
        nc=draw(st.sampled_from([32, 64, 128])),
        kc=k if dtype == "bf16" else draw(st.sampled_from([7, 32, 64, 512])),
    )
    return Case(
        m=draw(SIZES),
        n=draw(SIZES),
        k=k,
        a_by_k=draw(st.booleans()),
        b_by_n=draw(st.booleans()),
        gaps=(draw(st.integers(0, 5)), draw(st.integers(0, 5)), draw(st.integers(0, 5))),
        spread=draw(st.sampled_from([1, 1, 1, 1, 3])),
        accumulate=draw(st.booleans()),
        blocks=blocks,
        seed=draw(st.integers(0, 99)),
    )


def check_random(isa: str, dtype: str, operands: str) -> int:
    multiplier = Multiplier(isa, dtype, operands)
    count = 0

    @settings(
        max_examples=150,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(dtype))
    def each(case: Case) -> None:
        nonlocal count
        multiplier.check(case)
        count += 1

    each()
    return count


@pytest.mark.parametrize(("isa", "dtype", "operands"), SETS)
def test_random_products(isolated: Callable[..., Any], isa: str, dtype: str, operands: str) -> None:
    if not runs(isa):
        pytest.skip("this host has no matrix unit")
    assert isolated("check_random", isa, dtype, operands) >= 150


def matmul(dtype: str, m: int, n: int, k: int, operands: str = "") -> str:
    a, b = (f"tensor<{x}x{y}x{operands or dtype}>" for x, y in ((m, k), (k, n)))
    c = f"tensor<{m}x{n}x{dtype}>"
    body = f"""
      %zero = arith.constant 0.0 : {dtype}
      %empty = tensor.empty() : {c}
      %init = linalg.fill ins(%zero : {dtype}) outs(%empty : {c}) -> {c}
      %r = linalg.matmul ins(%a, %b : {a}, {b}) outs(%init : {c}) -> {c}
      return %r : {c}"""
    return step([argument("a", a), argument("b", b)], [metric(c)], body)


def check_step(
    dtype: str, gemm: str, precision: str, operands: str = "", isa: str = "auto"
) -> dict[str, Any]:
    """Errors of a step that multiplies, by what each precision allows; one per thread count."""
    m, n, k = 300, 200, 170
    narrow = (operands or dtype) == "bf16"
    random = np.random.default_rng(0)
    a, b = (random.standard_normal(shape).astype(np.float32) for shape in ((m, k), (k, n)))
    stored = [to_bf16(x) for x in (a, b)] if narrow else [a, b]
    if narrow:
        a, b = map(from_bf16, stored)
    options = CpuOptions(gemm=gemm, matmul_precision=precision, isa=isa, cache=False)
    results = []

    def once() -> None:
        program, (c,) = run(matmul(dtype, m, n, k, operands), stored, options)
        results.append((program, from_bf16(c) if dtype == "bf16" else c))

    for threads in (1, 2):
        with_threads(threads, once)
    program, c = results[0]
    a, b = a.astype(np.float64), b.astype(np.float64)
    error = np.abs(c - a @ b)
    within = {
        unit: bool((error <= bound(a, b, np.zeros((m, n)), dtype, unit, operands)).all())
        for unit in (None, 2, 1)
    }
    kernel = program.schedule.kernels[program.schedule.calls[0].kernel]
    assert len(program.schedule.calls) == 1 and kernel.flops == 2 * m * n * k
    return {
        "alike": results[1][1].tobytes() == c.tobytes(),
        "within": within,
        "unit": any("_amx" in name for name in kernel.globals),
    }


@pytest.mark.parametrize("gemm", ["emitted", "auto"])
@pytest.mark.parametrize(
    ("dtype", "precision", "unit", "within"),
    [
        ("f32", "highest", False, {None: True, 2: True, 1: True}),
        ("f32", "high", True, {None: True, 2: True, 1: True}),
        ("f32", "medium", True, {None: False, 2: False, 1: True}),
        ("bf16", "highest", True, {None: True, 2: True, 1: True}),
    ],
)
def test_precision_of_steps(
    isolated: Callable[..., Any],
    gemm: str,
    dtype: str,
    precision: str,
    unit: bool,
    within: dict[int | None, bool],
) -> None:
    if not runs("amx"):
        pytest.skip("this host has no matrix unit")
    found = isolated("check_step", dtype, gemm, precision)
    assert found == {"alike": True, "within": within, "unit": unit}


@pytest.mark.parametrize("gemm", ["emitted", "auto", "blas"])
@pytest.mark.parametrize("result", ["bf16", "f32"])
@pytest.mark.parametrize("isa", ["auto", "avx512", "avx2"])
def test_bf16_operands_on_any_processor(
    isolated: Callable[..., Any], gemm: str, result: str, isa: str
) -> None:
    """Sums are in f32 whatever multiplies: the matrix unit, or vectors after widening."""
    if not runs("amx" if isa == "auto" else isa):
        pytest.skip(f"this host has no {isa}")
    found = isolated("check_step", result, gemm, "highest", "bf16", isa)
    exact = {None: True, 2: True, 1: True}
    assert found == {"alike": True, "within": exact, "unit": isa == "auto"}


def test_unknown_options() -> None:
    with pytest.raises(UserError, match="unknown value 'low' of the CPU option 'matmul_precision'"):
        compile_step(matmul("f32", 64, 64, 64), CpuOptions(matmul_precision="low", cache=False))
    with pytest.raises(UserError, match="unknown value 'mkl' of the CPU option 'gemm'"):
        compile_step(matmul("f32", 64, 64, 64), CpuOptions(gemm="mkl", cache=False))
