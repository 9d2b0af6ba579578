"""Element types of the machine."""

from __future__ import annotations

from typing import Literal, get_args

DType = Literal["i1", "i8", "i32", "i64", "bf16", "f32", "f64"]
"""Element types, by MLIR's names. An ``i1`` takes a byte."""

DTYPES: tuple[DType, ...] = get_args(DType)

ELEMENT_BYTES: dict[DType, int] = {
    "i1": 1,
    "i8": 1,
    "i32": 4,
    "i64": 8,
    "bf16": 2,
    "f32": 4,
    "f64": 8,
}
"""Size of an element in memory, in bytes."""
