"""One micro-operation as a function on arrays: types checked once, when a program is loaded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa import MicroOp
from ssft.hwmodel.isa.dtypes import ELEMENT_BYTES, DType
from ssft.hwmodel.machine.float_operations import (
    float_comparison,
    float_operation,
    power_of_integer,
    round_to,
)
from ssft.hwmodel.machine.integer_operations import (
    float_to_integer,
    integer_comparison,
    integer_operation,
    integer_to_float,
    signed,
    unsigned,
    wrap,
)
from ssft.hwmodel.machine.rounding import COMPUTE, round_to_bf16

Function = Callable[..., NDArray]

FLOATS: frozenset[DType] = frozenset({"bf16", "f32", "f64"})

_CONVERSIONS: dict[str, tuple[bool, bool, Callable[[NDArray, DType], NDArray]]] = {
    "extf": (True, True, round_to),
    "truncf": (True, True, round_to),
    "extsi": (False, False, lambda x, t: wrap(signed(x), t)),
    "extui": (False, False, lambda x, t: wrap(unsigned(x), t)),
    "trunci": (False, False, lambda x, t: wrap(signed(x), t)),
    "index_cast": (False, False, lambda x, t: wrap(signed(x), t)),
    "sitofp": (False, True, lambda x, t: integer_to_float(signed(x), t)),
    "uitofp": (False, True, lambda x, t: integer_to_float(unsigned(x), t)),
    "fptosi": (True, False, lambda x, t: float_to_integer(x, t, is_signed=True)),
    "fptoui": (True, False, lambda x, t: float_to_integer(x, t, is_signed=False)),
}
"""Name: whether it takes a float, whether it gives one, and what it does."""


def constant(value: object, dtype: DType) -> NDArray:
    """An immediate as a register without dimensions."""
    if dtype in FLOATS:
        number = np.asarray(float(value), np.float64)  # type: ignore[arg-type]
        return round_to_bf16(number) if dtype == "bf16" else number.astype(COMPUTE[dtype])
    if dtype == "i1":
        return np.asarray(bool(value))
    bits = ELEMENT_BYTES[dtype] * 8
    wrapped = (int(value) + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)  # type: ignore[call-overload]
    return np.asarray(wrapped, COMPUTE[dtype])


def compile_operation(op: MicroOp, operands: tuple[DType, ...]) -> Function:
    """The function of an operation, given its operands' types; `MachineError` if there is none."""
    function = _compile(op, operands)
    if function is None:
        types = ", ".join(operands)
        raise MachineError(
            f"a micro-program has an operation that no unit runs: {op.name}({types}) -> {op.dtype}"
            + (f" with {op.immediate!r}" if op.immediate is not None else "")
        )
    return function


def _compile(op: MicroOp, operands: tuple[DType, ...]) -> Function | None:
    dtype, count = op.dtype, len(operands)
    same = count > 0 and all(operand == dtype for operand in operands)
    if op.name in _CONVERSIONS and count == 1:
        return _conversion(op.name, operands[0], dtype)
    if op.name == "select":
        return np.where if operands == ("i1", dtype, dtype) else None
    if op.name in ("cmpf", "cmpi"):
        return _comparison(op, operands)
    if op.name == "bitcast" and count == 1:
        return _bitcast(operands[0], dtype)
    if op.name == "fpowi":
        takes = count == 2 and operands[0] == dtype and operands[1] not in FLOATS
        return power_of_integer(dtype) if takes and dtype in FLOATS else None
    if not same:
        return None
    if dtype not in FLOATS:
        return integer_operation(op.name, dtype) if count == 2 else None
    found = float_operation(op.name, dtype)
    return found[0] if found is not None and found[1] == count else None


def _conversion(name: str, source: DType, target: DType) -> Function | None:
    takes_float, gives_float, convert = _CONVERSIONS[name]
    if takes_float != (source in FLOATS) or gives_float != (target in FLOATS):
        return None
    return lambda values: convert(values, target)


def _comparison(op: MicroOp, operands: tuple[DType, ...]) -> Function | None:
    if len(operands) != 2 or operands[0] != operands[1] or op.dtype != "i1":
        return None
    floats = operands[0] in FLOATS
    if floats != (op.name == "cmpf"):
        return None
    predicate = str(op.immediate)
    return float_comparison(predicate) if floats else integer_comparison(predicate)


def _bitcast(source: DType, target: DType) -> Function | None:
    if source == target:
        return lambda values: values
    if ELEMENT_BYTES[source] < 4 or ELEMENT_BYTES[source] != ELEMENT_BYTES[target]:
        return None
    return lambda values: values.view(COMPUTE[target])
