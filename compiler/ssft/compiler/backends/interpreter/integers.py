"""Integer operations of ``arith`` and ``math`` on arrays of signed integers and booleans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def unsigned(a: Any) -> np.ndarray:
    """The same bits as an unsigned number."""
    array = np.asarray(a)
    return array if array.dtype.kind in "bu" else array.view(f"u{array.dtype.itemsize}")


def compare_integers(predicate: int, a: Any, b: Any) -> Any:
    """``arith.cmpi``; predicates are numbered eq, ne, slt, sle, sgt, sge, ult, ule, ugt, uge."""
    a, b = np.asarray(a), np.asarray(b)
    if predicate >= 6:
        return _RELATIONS[predicate - 4](unsigned(a), unsigned(b))
    if a.dtype == np.bool_ and predicate >= 2:
        a, b = b, a  # the signed number of a true bit is -1
    return _RELATIONS[predicate](a, b)


_RELATIONS = (np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal)


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Division that rounds towards zero."""
    return (a - np.fmod(a, b)) // b


def _or_boolean(arithmetic: Callable[..., Any], boolean: Callable[..., Any]) -> Callable[..., Any]:
    """`boolean` is what `arithmetic` does to a number of one bit, which is its sign."""
    return lambda a, b: boolean(a, b) if a.dtype == np.bool_ else arithmetic(a, b)


INTEGER_RULES: dict[str, Callable[..., Any]] = {
    "arith.addi": _or_boolean(np.add, np.logical_xor),
    "arith.subi": _or_boolean(np.subtract, np.logical_xor),
    "arith.muli": _or_boolean(np.multiply, np.logical_and),
    "arith.divsi": _divide,
    "arith.floordivsi": np.floor_divide,
    "arith.ceildivsi": lambda a, b: -(-a // b),
    "arith.divui": lambda a, b: unsigned(a) // unsigned(b),
    "arith.remsi": np.fmod,
    "arith.remui": lambda a, b: unsigned(a) % unsigned(b),
    "arith.maxsi": _or_boolean(np.maximum, np.logical_and),
    "arith.minsi": _or_boolean(np.minimum, np.logical_or),
    "arith.maxui": lambda a, b: np.maximum(unsigned(a), unsigned(b)),
    "arith.minui": lambda a, b: np.minimum(unsigned(a), unsigned(b)),
    "arith.andi": np.bitwise_and,
    "arith.ori": np.bitwise_or,
    "arith.xori": np.bitwise_xor,
    "arith.shli": np.left_shift,
    "arith.shrsi": np.right_shift,
    "arith.shrui": lambda a, b: unsigned(a) >> unsigned(b),
    "math.absi": np.abs,
}
"""From operands to a result that has the right bits after a cast to the operation's type."""
