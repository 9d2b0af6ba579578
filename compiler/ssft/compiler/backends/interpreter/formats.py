"""Element types in NumPy, rounding to them, and the arithmetics that a step can be computed in.

NumPy lacks bf16: its values are kept in float32 arrays, and stored as their upper halves.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ssft.dialects._mlir import ir

Arithmetic = Literal["native", "bf16", "f32"]
"""``native`` is NumPy's own. The others are the accelerator's, with contractions whose operands are
rounded to bf16 or f32; they differ in nothing else."""

GROUP = 16
"""Terms of a sum that are added as one balanced tree, in the accelerator's arithmetic."""

_COMPUTED = {
    "f16": np.float16,
    "bf16": np.float32,
    "f32": np.float32,
    "f64": np.float64,
    "i1": np.bool_,
    "i8": np.int8,
    "ui8": np.uint8,
    "i16": np.int16,
    "i32": np.int32,
    "i64": np.int64,
    "index": np.int64,
}


class Unsupported(Exception):
    """An operation that the interpreter has no rule for; says what it is."""


def element_type(type_: ir.Type) -> str:
    """The text of a scalar type, or of a tensor's element type."""
    if isinstance(type_, ir.ShapedType):
        type_ = type_.element_type
    return str(type_)


def numpy_type(element: str) -> np.dtype:
    """The NumPy type that elements of an MLIR type are computed in."""
    if element not in _COMPUTED:
        raise Unsupported(f"element type {element}")
    return np.dtype(_COMPUTED[element])


def stored_type(element: str) -> np.dtype:
    """The NumPy type of elements of an MLIR type in memory: ``bf16`` is two bytes."""
    return np.dtype(np.uint16) if element == "bf16" else numpy_type(element)


def load(array: np.ndarray, element: str) -> np.ndarray:
    """Stored elements as they are computed with; no copy except for ``bf16``."""
    if element == "bf16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array


def store(array: np.ndarray, element: str, target: np.ndarray) -> None:
    """Writes computed elements to memory."""
    if element == "bf16":
        array = (np.ascontiguousarray(array).view(np.uint32) >> 16).astype(np.uint16)
    np.copyto(target, np.asarray(array).reshape(target.shape))


def rounded(array: Any, element: str) -> Any:
    """`array` in the NumPy type of `element`, rounded once, to nearest even."""
    array = np.asarray(array)
    if element != "bf16":
        return array.astype(numpy_type(element), copy=False)
    if array.dtype.kind in "iub":
        array = array.astype(np.float64)  # exact for all integers below 2**53
    return to_bf16(_to_odd(array) if array.dtype == np.float64 else array)


def to_bf16(array: Any) -> Any:
    """float32 values that are the bf16 values nearest to those of `array`, ties to even."""
    array = np.asarray(array, np.float32)
    bits = array.view(np.uint32)
    last = (bits >> np.uint32(16)) & np.uint32(1)
    even = (bits + (last + np.uint32(0x7FFF))) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(array), array, even.view(np.float32))


def _to_odd(array: np.ndarray) -> np.ndarray:
    """Rounds f64 to f32 such that rounding further, to fewer bits, rounds only once in all.

    An inexact result is the neighbour with an odd last bit: it never looks like a tie.
    """
    near = np.asarray(array.astype(np.float32))
    error = array - near.astype(np.float64)
    inexact = ~np.isnan(array) & (error != 0) & ((near.view(np.uint32) & np.uint32(1)) == 0)
    towards = np.where(error > 0, np.float32(np.inf), np.float32(-np.inf))
    return np.where(inexact, np.nextafter(near, towards), near)
