"""Sums of many terms in single precision are near the exact sum, in whatever order they are added.

The terms are of one sign, and many are equal: roundings of one accumulator all go the same way.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssft.compiler.backends.cpu import CpuOptions
from ssft.compiler.backends.cpu.gemm.isa import select
from ssft.compiler.diagnostics import UserError

sys.path.insert(0, str(Path(__file__).parent))

from programs import argument, metric, run, step

TERMS = 1 << 16
MOST = 2e-6
"""Of the sum of the terms' absolute values; one f32 accumulator for all terms is off by 6e-5."""

SUMS = {
    "gradient of a bias": ("tc->c", (TERMS, 8)),
    "gradient of a bias, by sequences": ("btc->c", (2, TERMS // 2, 8)),
    "gradient of a norm's weight": ("tc,tc->c", (TERMS, 8)),
    "loss": ("t->", (TERMS * 16,)),
    "squared norm": ("rc,rc->", (TERMS // 64, 512)),
    "row": ("rt->r", (4, TERMS)),
}
PRODUCTS = ("mk,kn->mn", (24, TERMS, 40))


def sum_program(equation: str, shape: tuple[int, ...], result: tuple[int, ...]) -> str:
    """The sum of `equation`, whose operands all have `shape`, as one generic operation."""
    inputs, output = equation.split("->")
    names = inputs.split(",")
    loops = names[0]
    domain = ", ".join(loops)
    maps = [f"affine_map<({domain}) -> ({', '.join(name)})>" for name in (*names, output)]
    kinds = ", ".join('"parallel"' if loop in output else '"reduction"' for loop in loops)
    operand, target = (f"tensor<{''.join(f'{n}x' for n in dims)}f32>" for dims in (shape, result))
    arguments = [argument(f"x{i}", operand) for i in range(len(names))]
    factors = ", ".join(f"%a{i}: f32" for i in range(len(names)))
    inputs = ", ".join(f"%x{i}" for i in range(len(names)))
    inputs += " : " + ", ".join([operand] * len(names))
    term = "%a0" if len(names) == 1 else "%p"
    product = "" if len(names) == 1 else "%p = arith.mulf %a0, %a1 : f32"
    body = f"""
      %zero = arith.constant 0.0 : f32
      %e = tensor.empty() : {target}
      %z = linalg.fill ins(%zero : f32) outs(%e : {target}) -> {target}
      %r = linalg.generic {{indexing_maps = [{", ".join(maps)}], iterator_types = [{kinds}]}}
          ins({inputs}) outs(%z : {target}) {{
      ^bb0({factors}, %s: f32):
        {product}
        %t = arith.addf %s, {term} : f32
        linalg.yield %t : f32
      }} -> {target}
      return %r : {target}"""
    return step(arguments, [metric(target)], body)


def numbers(shape: tuple[int, ...]) -> np.ndarray:
    """Tenths, and in every eighth place a random number from 0 to 1."""
    found = np.full(shape, 0.1, np.float32)
    places = found.reshape(-1)[::8]
    places[:] = np.random.default_rng(0).random(places.shape, np.float32)
    return found


def error(found: np.ndarray, equation: str, operands: list[np.ndarray]) -> float:
    """The largest error against f64, relative to the sum of absolute values: all are positive."""
    exact = np.einsum(equation, *(x.astype(np.float64) for x in operands))
    return float((np.abs(found - exact) / exact).max())


def sum_error(name: str, parallel: bool) -> float:
    equation, shape = SUMS[name]
    operands = [numbers(shape) for _ in equation.partition("->")[0].split(",")]
    sizes = dict(zip(equation, shape, strict=False))
    result = tuple(sizes[loop] for loop in equation.partition("->")[2])
    text = sum_program(equation, shape, result)
    _, (found,) = run(text, operands, CpuOptions(parallel=parallel))
    return error(found, equation, operands)


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("name", SUMS)
def test_sums(isolated: Callable[..., Any], name: str, parallel: bool) -> None:
    assert isolated("sum_error", name, parallel) < MOST


def product_error(options: dict[str, str]) -> float:
    equation, (m, k, n) = PRODUCTS
    body = f"""
      %zero = arith.constant 0.0 : f32
      %e = tensor.empty() : tensor<{m}x{n}xf32>
      %z = linalg.fill ins(%zero : f32) outs(%e : tensor<{m}x{n}xf32>) -> tensor<{m}x{n}xf32>
      %r = linalg.matmul ins(%a, %b : tensor<{m}x{k}xf32>, tensor<{k}x{n}xf32>)
          outs(%z : tensor<{m}x{n}xf32>) -> tensor<{m}x{n}xf32>
      return %r : tensor<{m}x{n}xf32>"""
    shapes = {"a": (m, k), "b": (k, n)}
    types = (argument(name, f"tensor<{x}x{y}xf32>") for name, (x, y) in shapes.items())
    operands = [numbers(shape) for shape in shapes.values()]
    text = step(list(types), [metric(f"tensor<{m}x{n}xf32>")], body)
    _, (found,) = run(text, operands, CpuOptions(**options))
    return error(found, equation, operands)


@pytest.mark.parametrize("options", [{"gemm": "blas"}, {"gemm": "emitted"}, {"isa": "avx2"}])
def test_products(isolated: Callable[..., Any], options: dict[str, str]) -> None:
    try:
        select("avx2")
    except UserError:
        pytest.skip("this processor has none of the instruction sets")
    assert isolated("product_error", options) < 5 * MOST
