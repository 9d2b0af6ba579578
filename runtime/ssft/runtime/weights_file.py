"""Reading safetensors files that come from elsewhere: checked, memory-mapped, never executed."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssft.compiler.diagnostics import UserError
from ssft.compiler.files import sha256_of
from ssft.compiler.plan_schema import StepSignature, WeightsFile
from ssft.compiler.weights import Array
from ssft.runtime.buffers import storage_type

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


def _array(entry: dict[str, Any], data: np.ndarray) -> Array:
    dtype, shape = _TYPES[entry["dtype"]], tuple(int(n) for n in entry["shape"])
    begin, end = entry["data_offsets"]
    storage = storage_type(dtype)
    if not 0 <= begin <= end <= data.size or min(shape, default=0) < 0:
        raise ValueError("offsets outside the file")
    if end - begin != math.prod(shape) * storage.itemsize:
        raise ValueError("a size that does not fit the shape")
    return Array(dtype, np.asarray(data[begin:end]).view(storage).reshape(shape))


def same_shape(stored: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether the shapes agree; a scalar may be stored as one element in one dimension."""
    return stored == wanted or (wanted == () and stored == (1,))


def _malformed(path: Path) -> UserError:
    return UserError(
        f"'{path}' is not a complete safetensors file",
        notes=["the file may have been cut short while it was copied"],
    )


def load_weights(plan: Path, signature: StepSignature) -> Mapping[str, Array]:
    """The parameters of the plan at `plan`, from the sidecar that it names.

    Raises:
        UserError: the plan has no weights, or the sidecar is missing or not the one that belongs
            to the plan.
    """
    weights = signature.weights
    if weights is None:
        raise UserError(
            f"plan '{plan}' was compiled without weights, so it cannot run",
            notes=["compile it without '--abstract'"],
        )
    path = _sidecar(plan, weights)
    if sha256_of(path) != weights.sha256:
        raise UserError(
            f"'{path}' does not hold the weights that plan '{plan}' was compiled with",
            notes=["its sha256 differs from the one in the plan; compile the model again"],
        )
    return read_safetensors(path).arrays


def _sidecar(plan: Path, weights: WeightsFile) -> Path:
    # A plan is data from elsewhere: it must not make us open files outside its directory.
    if Path(weights.file).name != weights.file or weights.file in ("", ".", ".."):
        raise UserError(
            f"plan '{plan}' names the weights file '{weights.file}', which is not a file name"
        )
    path = plan.parent / weights.file
    if not path.is_file():
        raise UserError(
            f"the weights '{path}' of plan '{plan}' are missing",
            notes=["keep the two files together when moving a plan"],
        )
    return path
