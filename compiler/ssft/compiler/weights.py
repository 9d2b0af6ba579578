"""Weights as NumPy arrays and safetensors files, without torch.

NumPy has no bfloat16: such tensors are held as ``uint16`` with their true element type beside.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, TensorSpec, serialize_file

from ssft.compiler.files import atomic_output

# safetensors' names by MLIR's.
_NAMES = {
    "f64": "float64",
    "f32": "float32",
    "f16": "float16",
    "bf16": "bfloat16",
    "i64": "int64",
    "i32": "int32",
    "i16": "int16",
    "i8": "int8",
    "ui8": "uint8",
    "i1": "bool",
}


@dataclass(frozen=True)
class Array:
    """A tensor's data: `data` holds its bits, `dtype` is the MLIR element type, e.g. ``"bf16"``."""

    dtype: str
    data: np.ndarray


def write_safetensors(
    path: str | os.PathLike[str],
    arrays: Mapping[str, Array],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes `arrays` to `path`, whole or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    with atomic_output(path) as temporary:
        serialize(temporary, arrays, metadata)


def serialize(
    path: Path, arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes `arrays` to `path` as it is; for files that `atomic_output` looks after.

    Raises:
        OSError: the file cannot be written.
    """
    # Not `np.ascontiguousarray`, which makes a vector of a scalar.
    contiguous = {name: np.asarray(array.data, order="C") for name, array in arrays.items()}
    specs = {
        name: TensorSpec(
            dtype=_NAMES[arrays[name].dtype],
            shape=list(data.shape),
            data_ptr=data.ctypes.data,
            data_len=data.nbytes,
        )
        for name, data in contiguous.items()
    }
    try:
        serialize_file(specs, path, dict(metadata) if metadata else None)
    except SafetensorError as error:
        raise OSError(str(error)) from None
