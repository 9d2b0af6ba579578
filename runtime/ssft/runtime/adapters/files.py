"""Adapters in safetensors files.

Part number ``i`` is stored as ``i.values`` and ``i.base``, and ``i.rows`` and ``i.columns`` where
not all rows or columns belong to it (int64, original order). The metadata entry ``adapter`` is
JSON: the parameter, shape and element type of each part, and the hashes of the base. Any reader of
safetensors can use the file: ``weight[rows][:, columns] = values``.
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from ssft.compiler.diagnostics import UserError
from ssft.compiler.tensor_files import TensorFile, read_safetensors
from ssft.compiler.weights import Array, write_safetensors
from ssft.runtime.adapters.adapter import Adapter, Part

FORMAT = "ssft-adapter-1"


def save_adapter(path: str | os.PathLike[str], adapter: Adapter) -> None:
    """Writes an adapter, whole or not at all."""
    arrays: dict[str, Array] = {}
    for number, part in enumerate(adapter.parts):
        arrays[f"{number}.values"] = Array(part.dtype, part.values)
        arrays[f"{number}.base"] = Array(part.dtype, part.base)
        for side, indices in (("rows", part.rows), ("columns", part.columns)):
            if indices is not None:
                arrays[f"{number}.{side}"] = Array("i64", indices)
    described = {
        "parts": [{"name": p.name, "shape": p.shape, "dtype": p.dtype} for p in adapter.parts],
        "base": dict(adapter.hashes),
        "aliases": {name: list(others) for name, others in adapter.aliases.items()},
        "about": dict(adapter.about),
    }
    write_safetensors(path, arrays, {"format": FORMAT, "adapter": json.dumps(described)})


def load_adapter(path: str | os.PathLike[str]) -> Adapter:
    """Reads what `save_adapter` wrote; a `UserError` says what is wrong with anything else."""
    file = read_safetensors(path)
    if file.metadata.get("format") != FORMAT:
        raise UserError(
            f"'{os.fspath(path)}' is not an adapter of this version",
            notes=["ssft-run writes one: --adapter FILE"],
        )
    try:
        described = json.loads(file.metadata["adapter"])
        parts = tuple(_part(file, n, entry) for n, entry in enumerate(described["parts"]))
        hashes = {str(name): str(value) for name, value in described["base"].items()}
        aliases = {str(n): tuple(map(str, o)) for n, o in described["aliases"].items()}
        about = {str(key): str(value) for key, value in described["about"].items()}
    except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise UserError(f"adapter '{os.fspath(path)}' is damaged: {error}") from None
    return Adapter(parts, hashes, aliases, about)


def _part(file: TensorFile, number: int, entry: dict[str, Any]) -> Part:
    shape = tuple(int(size) for size in entry["shape"])
    rows, columns = (_indices(file, f"{number}.{side}") for side in ("rows", "columns"))
    values, base = file.arrays[f"{number}.values"], file.arrays[f"{number}.base"]
    part = Part(entry["name"], shape, entry["dtype"], rows, columns, values.data, base.data)
    expected = list(shape)
    for dim, indices in enumerate((rows, columns)):
        if indices is not None:
            if dim >= len(shape) or not _in_order(indices, shape[dim]):
                raise ValueError(f"indices of '{part.name}' do not fit its shape")
            expected[dim] = len(indices)
    for array in (values, base):
        if array.dtype != part.dtype or list(array.data.shape) != expected:
            raise ValueError(f"values of '{part.name}' do not fit their indices")
    return part


def _indices(file: TensorFile, key: str) -> np.ndarray | None:
    found = file.arrays.get(key)
    return None if found is None else np.asarray(found.data, np.int64)


def _in_order(indices: np.ndarray, size: int) -> bool:
    inside = indices.ndim == 1 and bool(np.all((indices >= 0) & (indices < size)))
    return inside and bool(np.all(np.diff(indices) > 0))
