"""Scalar operations of ``arith`` and ``math`` as functions of whole arrays.

Every function rounds once to the operation's type. In the accelerator's arithmetic, functions
without an exact result are computed in f64 first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ssft.compiler.backends.interpreter.formats import (
    Unsupported,
    element_type,
    numpy_type,
    rounded,
)
from ssft.compiler.backends.interpreter.integers import INTEGER_RULES, compare_integers, unsigned
from ssft.dialects._mlir import ir

Function = Callable[..., Any]


def scalar_function(op: ir.Operation, *, exact: bool) -> Function:
    """The function that an operation of ``arith`` or ``math`` computes from its operands' arrays.

    `exact` asks for the accelerator's arithmetic. Raises `Unsupported`.
    """
    name, result = op.name, element_type(op.results[0].type)
    if name in ("arith.cmpi", "arith.cmpf"):
        compare = compare_integers if name == "arith.cmpi" else compare_floats
        predicate = ir.IntegerAttr(op.attributes["predicate"]).value
        return lambda a, b: compare(predicate, a, b)
    if name == "arith.select":
        return np.where
    if name == "arith.bitcast":
        return _bitcast(element_type(op.operands[0].type), result)
    if name == "math.fpowi":
        return lambda base, exponent: power(base, exponent, result)
    if name in INTEGER_RULES:
        return _to_integer(INTEGER_RULES[name], result)
    if name == "arith.trunci" and result == "i1":
        return lambda a: (np.asarray(a) & 1).astype(np.bool_)
    if name in _CONVERSIONS:
        convert = _CONVERSIONS[name]
        return lambda a: rounded(convert(np.asarray(a)), result)
    if name in _ROUNDED:
        return _to_float(_ROUNDED[name], result)
    if name in _MAXIMA:
        return _MAXIMA[name] if exact else _PLAIN_MAXIMA[name]
    if name in _SPECIAL:
        return _special(_SPECIAL[name], result, exact or name in _SLOW)
    raise Unsupported(name)


def _to_integer(rule: Function, result: str) -> Function:
    type_ = numpy_type(result)
    return lambda *operands: np.asarray(rule(*map(np.asarray, operands))).astype(type_, copy=False)


def _to_float(rule: Function, result: str) -> Function:
    # NumPy's operations on one type give that type, rounded; only bf16 is held in a wider one.
    return (lambda *operands: rounded(rule(*operands), result)) if result == "bf16" else rule


def _special(rule: Function, result: str, wide: bool) -> Function:
    if wide:
        return lambda *operands: rounded(
            rule(*(np.asarray(a).astype(np.float64) for a in operands)), result
        )
    return _to_float(rule, result)


def power(base: Any, exponent: Any, element: str) -> Any:
    """``base ** exponent`` for integers: squaring, from the least significant bit of the exponent.

    Each product is rounded to `element`. A negative exponent gives ``1 / base ** -exponent``.
    """
    multiply = _to_float(np.multiply, element)
    exponent = np.asarray(exponent).astype(np.int64)
    left, square = np.abs(exponent), np.asarray(base)
    result = np.ones_like(square)
    while left.any():
        odd = (left & 1).astype(bool)
        product = multiply(result, square)
        result = product if odd.all() else np.where(odd, product, result)
        left = left >> 1
        if left.any():
            square = multiply(square, square)
    if not (exponent < 0).any():
        return result
    inverse = _to_float(np.divide, element)(np.ones_like(square), result)
    return np.where(exponent < 0, inverse, result)


def _bitcast(source: str, result: str) -> Function:
    if "bf16" in (source, result):
        raise Unsupported(f"arith.bitcast from {source} to {result}")
    type_ = numpy_type(result)
    return lambda a: np.ascontiguousarray(a).view(type_).reshape(np.shape(a))


def compare_floats(predicate: int, a: Any, b: Any) -> Any:
    """``arith.cmpf``; MLIR numbers the predicates false, oeq … ord, ueq … uno, true."""
    relations = (np.equal, np.greater, np.greater_equal, np.less, np.less_equal, np.not_equal)
    if predicate in (0, 15):
        return np.full(np.broadcast_shapes(np.shape(a), np.shape(b)), predicate == 15)
    if predicate in (7, 14):
        unordered = np.isnan(a) | np.isnan(b)
        return unordered if predicate == 14 else ~unordered
    # NumPy's relations are ordered but for "not equal", which is true of NaN.
    wants_unordered = predicate >= 8
    position = (predicate - 8) if wants_unordered else (predicate - 1)
    holds = relations[position](a, b)
    if wants_unordered == (relations[position] is np.not_equal):
        return holds
    unordered = np.isnan(a) | np.isnan(b)
    return holds | unordered if wants_unordered else holds & ~unordered


def maximum(a: Any, b: Any, larger: Function = np.maximum) -> Any:
    """The larger one, +0 being larger than -0; `larger` says what becomes of NaN."""
    found = larger(a, b)
    return np.where(found == 0, np.where(np.equal(a, b), a + b, found), found)


def minimum(a: Any, b: Any, larger: Function = np.maximum) -> Any:
    """The smaller one, -0 being smaller than +0; `larger` says what becomes of NaN."""
    return -maximum(np.negative(a), np.negative(b), larger)


def _erf(a: np.ndarray) -> np.ndarray:
    values = np.asarray(a, np.float64)
    found = np.fromiter(map(math.erf, values.ravel().tolist()), np.float64, values.size)
    return found.reshape(values.shape)


def _half_away(a: Any) -> Any:
    # Not floor(|a| + 0.5): that addition rounds, for example of the number just below one half.
    whole = np.trunc(a)
    away = np.where(np.abs(a - whole) >= 0.5, np.copysign(np.ones_like(whole), a), whole - whole)
    return np.copysign(whole + away, a)


_ROUNDED: dict[str, Function] = {
    "arith.addf": np.add,
    "arith.subf": np.subtract,
    "arith.mulf": np.multiply,
    "arith.divf": np.divide,
    "arith.remf": np.fmod,
    "arith.negf": np.negative,
    "math.absf": np.abs,
    "math.ceil": np.ceil,
    "math.copysign": np.copysign,
    "math.floor": np.floor,
    "math.round": _half_away,
    "math.roundeven": np.rint,
    "math.sqrt": np.sqrt,
    "math.trunc": np.trunc,
}
"""Correctly rounded by NumPy; in float32 correct for bf16, too, after one more rounding."""

_PLAIN_MAXIMA: dict[str, Function] = {
    "arith.maximumf": np.maximum,
    "arith.minimumf": np.minimum,
    "arith.maxnumf": np.fmax,
    "arith.minnumf": np.fmin,
}
_MAXIMA: dict[str, Function] = {
    "arith.maximumf": maximum,
    "arith.minimumf": minimum,
    "arith.maxnumf": lambda a, b: maximum(a, b, np.fmax),
    "arith.minnumf": lambda a, b: minimum(a, b, np.fmax),
}
"""The same in the accelerator's arithmetic: whatever the order, zeros have the right sign."""

_SPECIAL: dict[str, Function] = {
    "math.acos": np.arccos,
    "math.asin": np.arcsin,
    "math.atan": np.arctan,
    "math.atan2": np.arctan2,
    "math.cos": np.cos,
    "math.cosh": np.cosh,
    "math.erf": _erf,
    "math.exp": np.exp,
    "math.exp2": np.exp2,
    "math.expm1": np.expm1,
    "math.log": np.log,
    "math.log10": np.log10,
    "math.log1p": np.log1p,
    "math.log2": np.log2,
    "math.powf": np.power,
    "math.rsqrt": lambda a: 1 / np.sqrt(a),
    "math.sin": np.sin,
    "math.sinh": np.sinh,
    "math.tan": np.tan,
    "math.tanh": np.tanh,
}
_SLOW = frozenset({"math.erf"})
"""Computed in f64 in any arithmetic."""


def _signed(a: np.ndarray) -> np.ndarray:
    return -a.astype(np.int8) if a.dtype == np.bool_ else a  # the only bit is the sign


_CONVERSIONS: dict[str, Function] = {
    "arith.extf": lambda a: a,
    "arith.truncf": lambda a: a,
    "arith.sitofp": _signed,
    "arith.uitofp": unsigned,
    "arith.extsi": _signed,
    "arith.extui": unsigned,
    "arith.trunci": lambda a: a,
    "arith.fptosi": np.trunc,
    "arith.fptoui": lambda a: np.trunc(a).astype(np.int64),
    "arith.index_cast": _signed,
    "arith.index_castui": unsigned,
}
