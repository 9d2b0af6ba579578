"""bfloat16 in NumPy: widening, and rounding to nearest even from every type.

A bf16 in memory is its 16 bits, ``uint16``; in computation it is the ``float32`` of equal value.
A not-a-number stays one (quiet, sign kept); its other bits have no meaning.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssft.hwmodel.isa.dtypes import DType

STORAGE: dict[DType, np.dtype] = {
    "i1": np.dtype(np.uint8),
    "i8": np.dtype(np.int8),
    "i32": np.dtype(np.int32),
    "i64": np.dtype(np.int64),
    "bf16": np.dtype(np.uint16),
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
}
"""How an element lies in memory (little-endian)."""

COMPUTE: dict[DType, np.dtype] = {
    **STORAGE,
    "i1": np.dtype(np.bool_),
    "bf16": np.dtype(np.float32),
}
"""How an element is held in a register."""


def bf16_bits(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The bits of f32 values rounded to bf16."""
    bits = np.asarray(values, np.float32).view(np.uint32)
    rounded = (bits + (((bits >> 16) & 1) + np.uint32(0x7FFF))) >> 16
    nan = np.isnan(values)
    if np.any(nan):
        rounded = np.where(nan, (bits >> 16) | np.uint32(0x40), rounded)
    return rounded.astype(np.uint16)


def bf16_values(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The f32 values that bf16 bits stand for."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def round_to_bf16(values: NDArray) -> NDArray[np.float32]:
    """f32 or f64 values rounded once to bf16, as f32."""
    if values.dtype == np.float64:
        values = _to_odd(values)
    return bf16_values(bf16_bits(values))


def _to_odd(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """f64 values rounded to odd in f32: rounding the result to bf16 rounds only once in effect."""
    with np.errstate(over="ignore"):
        nearest = values.astype(np.float32)
    back = nearest.astype(np.float64)
    bits = nearest.view(np.uint32)
    # Towards zero, then the last bit says that something was cut off.
    bits = bits - (np.abs(back) > np.abs(values)).astype(np.uint32)
    inexact = (back != values) & ~np.isnan(values)
    return (bits | inexact.astype(np.uint32)).view(np.float32)


def integer_to_bf16(values: NDArray) -> NDArray[np.float32]:
    """Integers rounded once to bf16, as f32."""
    if values.dtype.itemsize == 8:
        # f64 holds 53 bits: bits too far down for that are joined into one that is not.
        low = values & values.dtype.type(0xFFF)
        joined = (values ^ low) | ((low != 0).astype(values.dtype) << values.dtype.type(12))
        magnitude = values if values.dtype.kind == "u" else np.abs(values)
        large = (magnitude >> magnitude.dtype.type(53)) != 0
        values = np.where(large, joined, values)
    return round_to_bf16(values.astype(np.float64))


def to_compute(stored: NDArray, dtype: DType) -> NDArray:
    """Stored elements as registers hold them; a view where the two are the same."""
    if dtype == "bf16":
        return bf16_values(stored)
    return stored != 0 if dtype == "i1" else stored


def to_storage(values: NDArray, dtype: DType) -> NDArray:
    """Register values, which are of `dtype` already, as they lie in memory."""
    if dtype == "bf16":
        return (np.asarray(values).view(np.uint32) >> 16).astype(np.uint16)
    return values
