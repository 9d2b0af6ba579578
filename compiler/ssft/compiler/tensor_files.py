"""Reading safetensors files that come from elsewhere: checked, memory-mapped, never executed."""

from __future__ import annotations

import json
import math
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssft.compiler.buffers import storage_type
from ssft.compiler.diagnostics import UserError
from ssft.compiler.weights import Array

_TYPES = {
    "F64": "f64",
    "F32": "f32",
    "F16": "f16",
    "BF16": "bf16",
    "I64": "i64",
    "I32": "i32",
    "I16": "i16",
    "I8": "i8",
    "U8": "ui8",
    "BOOL": "i1",
}
_MAXIMUM_HEADER = 100_000_000  # bytes; the limit of the safetensors library


@dataclass(frozen=True)
class TensorFile:
    """The tensors of a safetensors file, memory-mapped, and its metadata."""

    arrays: Mapping[str, Array]
    metadata: Mapping[str, str]


def read_safetensors(path: str | os.PathLike[str]) -> TensorFile:
    """Opens a safetensors file; a file that is none, or is cut short, is a `UserError`."""
    path = Path(path)
    try:
        memory = np.memmap(path, np.uint8, mode="r") if path.stat().st_size else np.empty(0)
    except OSError as error:
        raise UserError(f"cannot read '{path}': {error.strerror or error}") from None
    size = int.from_bytes(memory[:8].tobytes(), "little") if memory.size >= 8 else -1
    if not 0 <= size <= min(_MAXIMUM_HEADER, memory.size - 8):
        raise _malformed(path)
    try:
        header: dict[str, Any] = json.loads(memory[8 : 8 + size].tobytes())
        metadata = header.pop("__metadata__", {})
        data = memory[8 + size :]
        arrays = {name: _array(entry, data) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _malformed(path) from None
    return TensorFile(arrays, metadata)


def release(array: Array) -> None:
    """Gives back the memory that reading an array of `read_safetensors` took.

    The array can still be used: it is read from its file again.
    """
    owner: Any = array.data
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)


def _array(entry: dict[str, Any], data: np.ndarray) -> Array:
    dtype, shape = _TYPES[entry["dtype"]], tuple(int(n) for n in entry["shape"])
    begin, end = entry["data_offsets"]
    storage = storage_type(dtype)
    if not 0 <= begin <= end <= data.size or min(shape, default=0) < 0:
        raise ValueError("offsets outside the file")
    if end - begin != math.prod(shape) * storage.itemsize:
        raise ValueError("a size that does not fit the shape")
    return Array(dtype, np.asarray(data[begin:end]).view(storage).reshape(shape))


def _malformed(path: Path) -> UserError:
    return UserError(
        f"'{path}' is not a complete safetensors file",
        notes=["the file may have been cut short while it was copied"],
    )
