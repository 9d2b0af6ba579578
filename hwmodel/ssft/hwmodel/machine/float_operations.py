"""Floating-point micro-operations on arrays. A bf16 is an f32 array of values that bf16 has."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ssft.hwmodel.isa.dtypes import DType
from ssft.hwmodel.machine.jit import jit
from ssft.hwmodel.machine.rounding import COMPUTE, round_to_bf16

Function = Callable[..., NDArray]


@jit
def _erf_loop(values, results):  # type: ignore[no-untyped-def]
    for i in range(values.size):
        results[i] = math.erf(values[i])


def _erf(values: NDArray[np.float64]) -> NDArray[np.float64]:
    flat = np.ascontiguousarray(values).ravel()
    results = np.empty_like(flat)
    _erf_loop(flat, results)
    return results.reshape(values.shape)


def _maximum(a: NDArray, b: NDArray, larger: Function = np.maximum) -> NDArray:
    """The larger; +0 is larger than -0."""
    result = larger(a, b)
    zeros = (result == 0) & (a == b)
    return np.where(zeros, a + b, result) if zeros.any() else result


def _minimum(a: NDArray, b: NDArray, smaller: Function = np.minimum) -> NDArray:
    """The smaller; -0 is smaller than +0."""
    result = smaller(a, b)
    zeros = (result == 0) & (a == b)
    return np.where(zeros, -(-a - b), result) if zeros.any() else result


def _round(values: NDArray) -> NDArray:
    """To the nearest integer, halves away from zero."""
    whole = np.trunc(values)
    # A subtraction of neighbours is exact; adding a half would not be.
    away = np.abs(values - whole) >= 0.5
    return np.copysign(np.abs(whole) + away.astype(values.dtype), values)


_ROUNDED: dict[str, Function] = {
    "addf": np.add,
    "subf": np.subtract,
    "mulf": np.multiply,
    "divf": np.divide,
    "sqrt": np.sqrt,
}
"""Exact operations whose result is rounded once."""

_EXACT: dict[str, Function] = {
    "negf": np.negative,
    "absf": np.abs,
    "remf": np.fmod,
    "floor": np.floor,
    "ceil": np.ceil,
    "roundeven": np.rint,
    "round": _round,
    "maximumf": _maximum,
    "minimumf": _minimum,
    "maxnumf": lambda a, b: _maximum(a, b, np.fmax),
    "minnumf": lambda a, b: _minimum(a, b, np.fmin),
}
"""Operations whose result needs no rounding."""

_SPECIAL: dict[str, Function] = {
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "log2": np.log2,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "tanh": np.tanh,
    "erf": _erf,
    "powf": np.power,
    "rsqrt": lambda x: 1.0 / np.sqrt(x),
}
"""Functions that are computed in f64 and then rounded."""

_ARITY_TWO = frozenset(
    {"addf", "subf", "mulf", "divf", "remf", "maximumf", "minimumf", "maxnumf", "minnumf", "powf"}
)


def round_to(values: NDArray, dtype: DType) -> NDArray:
    """f32 or f64 values rounded once to a floating-point type."""
    if dtype == "bf16":
        return round_to_bf16(values)
    return values.astype(COMPUTE[dtype], copy=False)


def float_operation(name: str, dtype: DType) -> tuple[Function, int] | None:
    """An operation on registers of `dtype`, and its number of operands; None if there is none."""
    arity = 2 if name in _ARITY_TWO else 1
    if name in _EXACT:
        return _EXACT[name], arity
    if name in _SPECIAL or (name in _ROUNDED and dtype == "bf16"):
        function = _SPECIAL.get(name) or _ROUNDED[name]
        return _in_f64(function, dtype), arity
    if name in _ROUNDED:
        return _ROUNDED[name], arity
    return None


def _in_f64(function: Function, dtype: DType) -> Function:
    def run(*operands: NDArray) -> NDArray:
        wide = (operand.astype(np.float64, copy=False) for operand in operands)
        return round_to(function(*wide), dtype)

    return run


def power_of_integer(dtype: DType) -> Function:
    """``fpowi``: squares and multiplies from the least significant bit, each step rounded."""
    found = float_operation("mulf", dtype)
    assert found is not None
    multiply, divide = found[0], float_operation("divf", dtype)
    assert divide is not None

    def run(base: NDArray, exponent: NDArray) -> NDArray:
        result = np.ones(np.broadcast_shapes(base.shape, exponent.shape), base.dtype)
        left = np.abs(exponent.astype(np.int64)).view(np.uint64)
        square = base
        while left.any():
            result = np.where(left & np.uint64(1), multiply(result, square), result)
            left = left >> np.uint64(1)
            square = multiply(square, square)
        inverse = divide[0](np.ones_like(result), result)
        return np.where(exponent < 0, inverse, result)

    return run


_ORDERED: dict[str, Function] = {
    "eq": np.equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "lt": np.less,
    "le": np.less_equal,
}


def _unordered(a: NDArray, b: NDArray) -> NDArray:
    return np.isnan(a) | np.isnan(b)


def float_comparison(predicate: str) -> Function | None:
    """``cmpf``: an ordered predicate is false, an unordered one true, if an operand is NaN."""
    if predicate in ("true", "false"):
        value = predicate == "true"
        return lambda a, b: np.full(np.broadcast_shapes(a.shape, b.shape), value)
    if predicate in ("ord", "uno"):
        return _unordered if predicate == "uno" else lambda a, b: ~_unordered(a, b)
    if predicate == "one":
        return lambda a, b: (a < b) | (a > b)
    if predicate == "une":
        return np.not_equal
    compare = _ORDERED.get(predicate[1:])
    if compare is None and predicate == "ueq":
        compare = np.equal
    if compare is None or predicate[0] not in "ou":
        return None
    return compare if predicate[0] == "o" else lambda a, b: compare(a, b) | _unordered(a, b)
