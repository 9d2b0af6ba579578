"""Expanded functions against the C library, over their whole range and at its ends."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from programs import NUMPY, argument, metric, run, step

REFERENCE = {"math.exp": np.exp, "math.tanh": np.tanh, "math.erf": np.vectorize(math.erf)}
ENDS = [math.inf, -math.inf, math.nan, 0.0, 1e30, -1e30, 1e-30, 1e4, -1e4, 88.7, -80.0]


def check(function: str, dtype: str, low: float, high: float) -> tuple[float, list[float]]:
    """Largest relative error on [low, high], and the values at `ENDS`."""
    x = np.concatenate([ENDS, np.linspace(low, high, 100_000)]).astype(NUMPY[dtype])
    type_ = f"tensor<{x.size}x{dtype}>"
    maps = ", ".join(["affine_map<(d0) -> (d0)>"] * 2)
    body = f"""
      %e = tensor.empty() : {type_}
      %r = linalg.generic {{indexing_maps = [{maps}], iterator_types = ["parallel"]}}
          ins(%x : {type_}) outs(%e : {type_}) {{
      ^bb0(%a: {dtype}, %o: {dtype}):
        %v = {function} %a : {dtype}
        linalg.yield %v : {dtype}
      }} -> {type_}
      return %r : {type_}"""
    _, (y,) = run(step([argument("x", type_)], [metric(type_)], body), [x])
    with np.errstate(over="ignore"):
        wanted = REFERENCE[function](x.astype(np.float64))
    inner = slice(len(ENDS), None)
    error = np.abs(y[inner] - wanted[inner]) / np.maximum(np.abs(wanted[inner]), 1e-300)
    return float(error.max()), y[: len(ENDS)].tolist()


@pytest.mark.parametrize(
    ("function", "dtype", "low", "high", "tolerance"),
    [
        ("math.exp", "f32", -86.0, 88.7, 1.2e-7),
        ("math.exp", "f64", -707.0, 709.7, 4.5e-16),
        ("math.tanh", "f32", -10.0, 10.0, 2e-7),
        ("math.erf", "f32", -5.0, 5.0, 1.2e-7),
        ("math.tanh", "f64", -10.0, 10.0, 4.5e-16),
        ("math.erf", "f64", -5.0, 5.0, 4.5e-16),
    ],
)
def test_function(
    isolated: Callable[..., Any],
    function: str,
    dtype: str,
    low: float,
    high: float,
    tolerance: float,
) -> None:
    error, ends = isolated("check", function, dtype, low, high)
    assert error < tolerance
    with np.errstate(over="ignore"):
        rounded = np.array(ENDS, NUMPY[dtype]).astype(np.float64)
        wanted = REFERENCE[function](rounded).astype(NUMPY[dtype]).tolist()
    assert ends == pytest.approx(wanted, rel=2e-7, abs=1e-37, nan_ok=True)
