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
    y = apply(function, dtype, x, type_)
    with np.errstate(over="ignore"):
        wanted = REFERENCE[function](x.astype(np.float64))
    inner = slice(len(ENDS), None)
    error = np.abs(y[inner] - wanted[inner]) / np.maximum(np.abs(wanted[inner]), 1e-300)
    return float(error.max()), y[: len(ENDS)].tolist()


def apply(function: str, dtype: str, x: np.ndarray, type_: str) -> np.ndarray:
    """What compiled code makes of the elements of `x`."""
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
    return y


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


def units_in_last_place(function: str, dtype: str, flushed: float) -> tuple[float, int]:
    """The largest error in units in the last place on numbers of any size and sign.

    The numbers are random bits, so all exponents occur, also those of subnormal numbers, and so do
    infinities and NaN. Results below `flushed` may be off by as much. Also returns how many results
    are infinite or NaN where they should not be, or the other way round.
    """
    bits = {"f32": np.uint32, "f64": np.uint64}[dtype]
    random = np.random.default_rng(0).integers(0, np.iinfo(bits).max, 200_000, bits, True)
    around_zero = np.linspace(-110, 110, 50_000).astype(NUMPY[dtype])
    x = np.concatenate([random.view(NUMPY[dtype]), around_zero])
    type_ = f"tensor<{x.size}x{dtype}>"
    y = apply(function, dtype, x, type_).astype(np.float64)
    with np.errstate(over="ignore", under="ignore"):
        exact = REFERENCE[function](x.astype(np.float64))
        rounded = exact.astype(NUMPY[dtype]).astype(np.float64)
    wrong = (np.isnan(y) != np.isnan(rounded)) | (np.isinf(y) != np.isinf(rounded))
    finite = np.isfinite(rounded) & ~wrong
    unit = np.spacing(np.abs(rounded[finite]).astype(NUMPY[dtype])).astype(np.float64)
    error = np.abs(y[finite] - exact[finite])
    error[np.abs(exact[finite]) < flushed] -= flushed
    return float((error / unit).max()), int(wrong.sum())


@pytest.mark.parametrize(
    ("function", "flushed", "most"),
    [("math.exp", 2.8e-38, 1.0), ("math.tanh", 0.0, 1.25), ("math.erf", 0.0, 1.0)],
)
def test_units_in_last_place(
    isolated: Callable[..., Any], function: str, flushed: float, most: float
) -> None:
    error, wrong = isolated("units_in_last_place", function, "f32", flushed)
    assert wrong == 0
    assert error < most
