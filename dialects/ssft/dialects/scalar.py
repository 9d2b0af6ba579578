"""Scalar operations of ``arith`` and ``math``, evaluated by NumPy on whole arrays.

This is what `reference` of ``ssft.update`` runs its region with. Readability over speed: one line
an operation. Each result is rounded to its MLIR type, so that an f32 program is computed in f32.
bf16, which NumPy lacks, is kept in float32 arrays that hold bf16 values only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ssft.dialects._mlir import ir

_FLOATS = {"f16": np.float16, "bf16": np.float32, "f32": np.float32, "f64": np.float64}
_INTEGERS = {"i1": np.bool_, "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64}


def numpy_dtype(type_: ir.Type) -> type[np.generic]:
    """Returns the NumPy type that holds elements of the scalar MLIR type `type_`.

    Raises `TypeError` for types that have none.
    """
    if isinstance(type_, ir.IndexType):
        return np.int64
    try:
        return (_FLOATS | _INTEGERS)[str(type_)]
    except KeyError:
        raise TypeError(f"no NumPy type for {type_}") from None


def rounded(array: Any, type_: ir.Type) -> np.ndarray:
    """Returns `array` in the NumPy type for `type_`, rounded to nearest even."""
    result = np.asarray(array).astype(numpy_dtype(type_))
    return _to_bf16(result) if str(type_) == "bf16" else result


def _to_bf16(array: np.ndarray) -> np.ndarray:
    bits = array.view(np.uint32)
    even = (bits + (((bits >> 16) & 1) + 0x7FFF).astype(np.uint32)) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(array), array, even.view(np.float32))


def evaluate_block(
    block: ir.Block, arguments: Sequence[np.ndarray], captured: Mapping[ir.Value, Any]
) -> list[np.ndarray]:
    """Evaluates a block of scalar operations and returns what its terminator yields.

    `arguments` are arrays of one shape; `captured` gives scalars defined outside the block, except
    those that are computed from constants alone, which are evaluated where they stand.

    Raises `KeyError` for a scalar from outside that is not given, `NotImplementedError` for an
    operation without an evaluation rule.
    """
    values: dict[ir.Value, Any] = dict(captured)
    for argument, array in zip(block.arguments, arguments, strict=True):
        values[argument] = rounded(array, argument.type)
    *body, terminator = [op.operation for op in block.operations]
    for op in body:
        _evaluate(op, values)
    shape = np.shape(arguments[0])
    return [np.broadcast_to(_value(v, values), shape) for v in terminator.operands]


def _value(value: ir.Value, values: dict[ir.Value, Any]) -> Any:
    """Looks `value` up, evaluating it first if it comes from outside the block."""
    if value not in values:
        owner = value.owner
        if isinstance(owner, ir.Block):
            raise KeyError(f"no value given for the block argument {value}")
        if owner.operation.name.split(".")[0] not in ("arith", "math"):
            raise KeyError(f"no value given for {value}")
        _evaluate(owner.operation, values)
    return values[value]


def _evaluate(op: ir.Operation, values: dict[ir.Value, Any]) -> None:
    rule = _RULES.get(op.name)
    if rule is None:
        raise NotImplementedError(f"no rule to evaluate '{op.name}'")
    operands = [_value(operand, values) for operand in op.operands]
    with np.errstate(all="ignore"):
        result = rule(op, *operands)
    if op.name == "arith.trunci" and str(op.result.type) == "i1":
        result = result & 1  # a conversion to bool would test for nonzero instead
    values[op.result] = rounded(result, op.result.type)


def _unsigned(array: Any) -> np.ndarray:
    array = np.asarray(array)
    return array if array.dtype == np.bool_ else array.view(f"u{array.dtype.itemsize}")


def _divide(a: Any, b: Any) -> Any:
    """Signed division that truncates, as ``arith.divsi`` does."""
    return (a - np.fmod(a, b)) // b


def _number(attribute: Any) -> Any:
    return attribute.value  # an IntegerAttr, FloatAttr or BoolAttr


_INTEGER_PREDICATES: tuple[Callable[[Any, Any], Any], ...] = (
    lambda a, b: a == b,
    lambda a, b: a != b,
    lambda a, b: a < b,
    lambda a, b: a <= b,
    lambda a, b: a > b,
    lambda a, b: a >= b,
    lambda a, b: _unsigned(a) < _unsigned(b),
    lambda a, b: _unsigned(a) <= _unsigned(b),
    lambda a, b: _unsigned(a) > _unsigned(b),
    lambda a, b: _unsigned(a) >= _unsigned(b),
)


def _compare_floats(predicate: int, a: Any, b: Any) -> Any:
    """``arith.cmpf``: bits of the predicate say which of ==, >, <, unordered are true.

    MLIR numbers the predicates as LLVM does, but moves the two that ignore the operands.
    """
    ordered = ("==", ">", ">=", "<", "<=", "!=", "ord")
    if predicate in (0, 15):
        return np.full(np.broadcast(a, b).shape, predicate == 15)
    unordered = np.isnan(a) | np.isnan(b)
    if predicate == 14:
        return unordered
    relation = ordered[(predicate - 1) % 7]
    holds = {
        "==": np.equal(a, b),
        ">": np.greater(a, b),
        ">=": np.greater_equal(a, b),
        "<": np.less(a, b),
        "<=": np.less_equal(a, b),
        "!=": np.not_equal(a, b),
        "ord": True,
    }[relation]
    return (holds | unordered) if predicate >= 8 else (holds & ~unordered)


def _elementwise(function: Callable[[float], float]) -> Callable[[Any], Any]:
    return np.vectorize(function, otypes=[np.float64])


_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "arith.addf": np.add,
    "arith.subf": np.subtract,
    "arith.mulf": np.multiply,
    "arith.divf": np.divide,
    "arith.remf": np.fmod,
    "arith.maximumf": np.maximum,
    "arith.minimumf": np.minimum,
    "arith.maxnumf": np.fmax,
    "arith.minnumf": np.fmin,
    "arith.addi": np.add,
    "arith.subi": np.subtract,
    "arith.muli": np.multiply,
    "arith.divsi": _divide,
    "arith.divui": lambda a, b: _unsigned(a) // _unsigned(b),
    "arith.remsi": np.fmod,
    "arith.remui": lambda a, b: _unsigned(a) % _unsigned(b),
    "arith.maxsi": np.maximum,
    "arith.minsi": np.minimum,
    "arith.maxui": lambda a, b: np.maximum(_unsigned(a), _unsigned(b)),
    "arith.minui": lambda a, b: np.minimum(_unsigned(a), _unsigned(b)),
    "arith.andi": np.bitwise_and,
    "arith.ori": np.bitwise_or,
    "arith.xori": np.bitwise_xor,
    "arith.shli": np.left_shift,
    "arith.shrsi": np.right_shift,
    "arith.shrui": lambda a, b: _unsigned(a) >> _unsigned(b),
    "math.powf": np.power,
    "math.fpowi": np.power,
    "math.copysign": np.copysign,
    "math.atan2": np.arctan2,
}

_UNARY: dict[str, Callable[[Any], Any]] = {
    "arith.negf": np.negative,
    "arith.extf": lambda a: a,
    "arith.truncf": lambda a: a,
    "arith.extsi": lambda a: -a.astype(np.int64) if a.dtype == np.bool_ else a,
    "arith.extui": _unsigned,
    "arith.trunci": lambda a: a,
    "arith.sitofp": lambda a: -a.astype(np.int64) if a.dtype == np.bool_ else a,
    "arith.uitofp": _unsigned,
    "arith.fptosi": np.trunc,
    "arith.fptoui": np.trunc,
    "arith.index_cast": lambda a: a,
    "arith.index_castui": _unsigned,
    "math.absf": np.abs,
    "math.absi": np.abs,
    "math.ceil": np.ceil,
    "math.cos": np.cos,
    "math.erf": _elementwise(math.erf),
    "math.exp": np.exp,
    "math.exp2": np.exp2,
    "math.expm1": np.expm1,
    "math.floor": np.floor,
    "math.log": np.log,
    "math.log10": np.log10,
    "math.log1p": np.log1p,
    "math.log2": np.log2,
    "math.round": lambda a: np.copysign(np.floor(np.abs(a) + 0.5), a),
    "math.roundeven": np.rint,
    "math.rsqrt": lambda a: 1 / np.sqrt(a),
    "math.sin": np.sin,
    "math.sqrt": np.sqrt,
    "math.tanh": np.tanh,
    "math.trunc": np.trunc,
}

_RULES: dict[str, Callable[..., Any]] = {
    **{name: lambda op, a, f=f: f(np.asarray(a)) for name, f in _UNARY.items()},
    **{name: lambda op, a, b, f=f: f(a, b) for name, f in _BINARY.items()},
    "arith.constant": lambda op: _number(op.attributes["value"]),
    "arith.select": lambda op, c, a, b: np.where(c, a, b),
    "arith.cmpi": lambda op, a, b: _INTEGER_PREDICATES[op.attributes["predicate"].value](a, b),
    "arith.cmpf": lambda op, a, b: _compare_floats(op.attributes["predicate"].value, a, b),
    "math.fma": lambda op, a, b, c: a * b + c,
}
