"""Integer micro-operations on arrays. An i1 is a bool array; integers wrap around.

What MLIR leaves undefined has a value: a division by zero gives 0, a shift by the width or more
shifts everything out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ssft.hwmodel.isa.dtypes import DType
from ssft.hwmodel.machine.rounding import COMPUTE, integer_to_bf16

Function = Callable[..., NDArray]

_UNSIGNED = {1: np.uint8, 4: np.uint32, 8: np.uint64}


def signed(values: NDArray) -> NDArray:
    """The signed value: a true i1 is -1."""
    return -values.astype(np.int8) if values.dtype == np.bool_ else values


def unsigned(values: NDArray) -> NDArray:
    """The bits as an unsigned number."""
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    return values.view(_UNSIGNED[values.dtype.itemsize])


def wrap(values: NDArray, dtype: DType) -> NDArray:
    """An integer of any width, cut down or converted to `dtype`."""
    if dtype == "i1":
        return (values & values.dtype.type(1)) != 0
    return values.astype(COMPUTE[dtype], copy=False)


def _divide(a: NDArray, b: NDArray) -> NDArray:
    quotient = a // b
    # NumPy rounds down; the machine towards zero.
    return quotient + ((quotient < 0) & (quotient * b != a)).astype(quotient.dtype)


def _shift_left(a: NDArray, b: NDArray) -> NDArray:
    return np.left_shift(unsigned(a), unsigned(b)).view(a.dtype)


_SIGNED: dict[str, Function] = {
    "addi": np.add,
    "subi": np.subtract,
    "muli": np.multiply,
    "divsi": _divide,
    "remsi": np.fmod,
    "andi": np.bitwise_and,
    "ori": np.bitwise_or,
    "xori": np.bitwise_xor,
    "shli": _shift_left,
    "shrsi": np.right_shift,
    "maxsi": np.maximum,
    "minsi": np.minimum,
}
_UNSIGNED_OPERATIONS: dict[str, Function] = {
    "divui": np.floor_divide,
    "remui": np.fmod,
    "shrui": np.right_shift,
    "maxui": np.maximum,
    "minui": np.minimum,
}

_COMPARISONS: dict[str, Function] = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}


def integer_operation(name: str, dtype: DType) -> Function | None:
    """An operation on two registers of `dtype`; None if there is none of that name."""
    if name in _SIGNED:
        function, view = _SIGNED[name], signed
    elif name in _UNSIGNED_OPERATIONS:
        function, view = _UNSIGNED_OPERATIONS[name], unsigned
    else:
        return None
    return lambda a, b: wrap(function(view(a), view(b)), dtype)


def integer_comparison(predicate: str) -> Function | None:
    """``cmpi``: eq, ne, and slt, ult, sle, ule, ... with their signedness."""
    if predicate in ("eq", "ne"):
        return _COMPARISONS[predicate]
    compare = _COMPARISONS.get(predicate[1:])
    if compare is None or predicate[0] not in "su":
        return None
    view = signed if predicate[0] == "s" else unsigned
    return lambda a, b: compare(view(a), view(b))


def integer_to_float(values: NDArray, dtype: DType) -> NDArray:
    """Rounded once to a floating-point type."""
    return integer_to_bf16(values) if dtype == "bf16" else values.astype(COMPUTE[dtype])


def float_to_integer(values: NDArray, dtype: DType, is_signed: bool) -> NDArray:
    """Cut off towards zero; what is too large gives the nearest integer, not-a-number 0."""
    bits = 1 if dtype == "i1" else COMPUTE[dtype].itemsize * 8
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if is_signed else (0, 2**bits - 1)
    whole = np.nan_to_num(np.trunc(values.astype(np.float64)), nan=0.0, posinf=2e19, neginf=-2e19)
    wide = np.uint64 if high > 2**63 else np.int64
    # f64 has no 2**63 - 1: compare with the power of two behind it.
    inside = np.clip(whole, float(low), np.nextafter(float(high + 1), 0.0)).astype(wide)
    clipped = np.where(whole >= float(high + 1), wide(high), inside)
    return wrap(clipped, dtype)
