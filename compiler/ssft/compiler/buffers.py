"""Memory of a session: NumPy arrays for arguments, and what callers pass as a batch."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ssft.compiler.diagnostics import UserError
from ssft.compiler.plan_schema import ArgumentInfo, item_bytes

ALIGNMENT = 64
"""Bytes; parameters start at cache lines."""

# NumPy has no bfloat16: its bits are held as uint16.
_STORAGE = {
    "f64": np.float64,
    "f32": np.float32,
    "f16": np.float16,
    "bf16": np.uint16,
    "i64": np.int64,
    "i32": np.int32,
    "i16": np.int16,
    "i8": np.int8,
    "ui8": np.uint8,
    "i1": np.bool_,
}
_KINDS = {"f": "floating-point numbers", "i": "integers", "u": "integers", "b": "booleans"}


def storage_type(dtype: str) -> np.dtype:
    """The NumPy type that holds elements of an MLIR type; ``bf16`` is held as ``uint16``."""
    if dtype not in _STORAGE:
        raise UserError(f"element type '{dtype}' cannot be held in memory")
    return np.dtype(_STORAGE[dtype])


def allocate(shape: Sequence[int], dtype: str) -> np.ndarray:
    """A zeroed, row-major array whose memory starts at a multiple of `ALIGNMENT`."""
    size = math.prod(shape) * item_bytes(dtype)
    memory = np.zeros(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(storage_type(dtype)).reshape(tuple(shape))


def batch_arrays(inputs: Sequence[ArgumentInfo], batch: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of a batch, checked against the plan's inputs, by name.

    Arrays (NumPy, or CPU tensors of PyTorch) of the right type and row-major are used where they
    are; others of the same kind (such as ``int32`` for ``int64``) are converted.

    Raises:
        UserError: an input is missing or unknown, or has another shape or kind of elements, or an
            index is outside its range.
    """
    wanted = {argument.name: argument for argument in inputs}
    missing = [name for name in wanted if name not in batch]
    unknown = [name for name in batch if name not in wanted]
    if missing or unknown:
        what = f"lacks {_quoted(missing)}" if missing else f"has the unknown key {_quoted(unknown)}"
        raise UserError(f"the batch {what}", notes=[f"the plan's inputs are {_quoted(wanted)}"])
    return {name: _checked(argument, batch[name]) for name, argument in wanted.items()}


def _checked(argument: ArgumentInfo, value: Any) -> np.ndarray:
    array = _as_array(argument, value)
    if array.shape != argument.shape:
        raise UserError(
            f"input '{argument.name}' has the shape {list(array.shape)}, "
            f"but the plan was compiled for {list(argument.shape)}",
            notes=["a plan has static shapes: compile one for each batch shape"],
        )
    _check_range(argument, array)
    return array


def _as_array(argument: ArgumentInfo, value: Any) -> np.ndarray:
    """`value` as a row-major array of the argument's type, without a copy where possible."""
    wanted = storage_type(argument.dtype)
    array = _from_torch(value) if "torch" in type(value).__module__ else np.asarray(value)
    given = "bfloat16" if _is_bfloat16(value) else str(array.dtype)
    same_bits = argument.dtype == "bf16" and given == "bfloat16"
    floats = argument.dtype in ("bf16", "f16", "f32", "f64")
    kind_fits = array.dtype.kind == "f" if floats else _same_kind(array.dtype, wanted)
    if not same_bits and (not kind_fits or given == "bfloat16" or argument.dtype == "bf16"):
        raise UserError(
            f"input '{argument.name}' has elements of type {given}, "
            f"but the plan wants {_KINDS['f' if floats else wanted.kind]} ({argument.dtype})"
        )
    return np.ascontiguousarray(array, dtype=wanted).reshape(array.shape)


def _same_kind(given: np.dtype, wanted: np.dtype) -> bool:
    if wanted.kind == "b" or given.kind == "b":
        return given.kind == wanted.kind
    return given.kind in "iu" and wanted.kind in "iu"


def _is_bfloat16(value: Any) -> bool:
    return str(getattr(value, "dtype", "")) == "torch.bfloat16"


def _from_torch(tensor: Any) -> np.ndarray:
    """The memory of a CPU tensor as an array; torch is already loaded if there is a tensor."""
    try:
        return tensor.numpy()
    except (TypeError, RuntimeError):  # it is elsewhere, wants a gradient or has another type
        detached = tensor.detach().cpu()
    if _is_bfloat16(detached):
        detached = detached.view(sys.modules["torch"].uint16)
    return detached.numpy()


def _check_range(argument: ArgumentInfo, array: np.ndarray) -> None:
    """Rejects indices that generated code would use to read outside an array."""
    if argument.range is None or array.size == 0:
        return
    low, high = argument.range
    if low <= array.min() and array.max() < high:
        return
    wrong = (array < low) | (array >= high)
    if argument.ignore is not None:
        wrong &= array != argument.ignore
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        allowed = f"{low} to {high - 1}"
        if argument.ignore is not None:
            allowed += f", or {argument.ignore} to ignore a position"
        raise UserError(
            f"input '{argument.name}' holds {array[where]} at {list(where)}, which is out of range",
            notes=[f"legal values are {allowed}"],
        )


def _quoted(names: Any) -> str:
    return ", ".join(f"'{name}'" for name in names) or "none"
