"""Adapters as peft's LoRA, and back.

A rectangle of changed rows or columns is a product of a selection and the changes, so it is a LoRA
whose rank is the number of rows or columns: for columns C of W [m, n], ``B = change [m, k]`` and
``A = selection [k, n]``; for rows ``B = selection [m, q]`` and ``A = change [q, n]``. The scale is
1.
What peft adds is the *change*, so that its sum may differ from our values in the last place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssft.compiler.backends.interpreter.formats import load, rounded
from ssft.compiler.diagnostics import UserError
from ssft.compiler.files import write_text
from ssft.compiler.tensor_files import read_safetensors
from ssft.compiler.weights import Array, write_safetensors
from ssft.runtime.adapters.adapter import Adapter, Part, tensor_hash
from ssft.runtime.adapters.application import find

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
_SUFFIX = ".weight"
_PREFIX = "base_model.model."


def save_peft(
    directory: str | os.PathLike[str],
    adapter: Adapter,
    *,
    base_model: str | None = None,
    transposed: bool = False,
) -> None:
    """Writes an adapter as a directory that ``PeftModel.from_pretrained`` reads.

    `base_model` is the name of the base for peft's configuration. `transposed` says that weights
    are stored [in, out], as GPT-2's ``Conv1D`` does.

    Raises:
        UserError: it changes something that LoRA cannot, such as a bias or a norm.
    """
    arrays: dict[str, Array] = {}
    ranks: dict[str, int] = {}
    for name in adapter.names:
        if not name.endswith(_SUFFIX):
            raise _no_lora(name, "only matrices of linear layers have a LoRA")
        module = name.removesuffix(_SUFFIX)
        pairs = [_factors(part) for part in adapter.parts if part.name == name]
        b = np.concatenate([left for left, _ in pairs], axis=1)
        a = np.concatenate([right for _, right in pairs], axis=0)
        if transposed:
            a, b = b.T, a.T
        arrays[f"{_PREFIX}{module}.lora_A.weight"] = Array("f32", a)
        arrays[f"{_PREFIX}{module}.lora_B.weight"] = Array("f32", b)
        ranks[module] = a.shape[0]
    config: dict[str, Any] = {
        "peft_type": "LORA",
        "base_model_name_or_path": base_model,
        "task_type": None,
        "inference_mode": True,
        "r": max(ranks.values(), default=1),
        "lora_alpha": max(ranks.values(), default=1),
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": transposed,
        "target_modules": sorted(ranks),
        # One pattern per module: alpha equal to the rank makes the scale 1.
        "rank_pattern": {_exactly(module): rank for module, rank in ranks.items()},
        "alpha_pattern": {_exactly(module): rank for module, rank in ranks.items()},
    }
    path = Path(directory)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make directory '{path}': {error.strerror}") from None
    write_safetensors(path / WEIGHTS, arrays, {"format": "pt"})
    write_text(path / CONFIG, json.dumps(config, indent=1) + "\n")


def _exactly(module: str) -> str:
    # peft matches patterns at the end of a module's name, after a dot or at its start.
    return f"^{module}"


def _factors(part: Part) -> tuple[np.ndarray, np.ndarray]:
    """B [m, r] and A [r, n] whose product is the part's change, zero elsewhere."""
    if len(part.shape) != 2:
        raise _no_lora(part.name, f"it has {len(part.shape)} dimension(s)")
    m, n = part.shape
    rows = np.arange(m) if part.rows is None else part.rows
    columns = np.arange(n) if part.columns is None else part.columns
    change = part.change.astype(np.float32)
    if len(columns) <= len(rows):
        b, a = np.zeros((m, len(columns)), np.float32), np.zeros((len(columns), n), np.float32)
        b[rows] = change
        a[np.arange(len(columns)), columns] = 1
    else:
        b, a = np.zeros((m, len(rows)), np.float32), np.zeros((len(rows), n), np.float32)
        b[rows, np.arange(len(rows))] = 1
        a[:, columns] = change
    return b, a


def load_peft(directory: str | os.PathLike[str], weights: Mapping[str, Array]) -> Adapter:
    """Reads a LoRA of peft as an adapter of the base `weights`.

    Where a factor selects single rows or columns only these are taken, otherwise the whole matrix:
    the product of two dense factors changes all of it.

    Raises:
        UserError: it is no plain LoRA, or does not fit the weights.
    """
    path = Path(directory)
    try:
        config = json.loads((path / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read '{path / CONFIG}': {error}") from None
    if config.get("peft_type") != "LORA" or config.get("use_dora"):
        raise UserError(
            f"'{path}' is not a LoRA, but {config.get('peft_type')}",
            notes=["DoRA and other methods of peft change more than a sum"],
        )
    arrays = read_safetensors(path / WEIGHTS).arrays
    empty = Adapter((), {}, {}, {})
    parts = []
    for key, a in arrays.items():
        if not key.endswith(".lora_A.weight"):
            if not key.endswith(".lora_B.weight"):
                raise UserError(f"'{path}' has '{key}', which is no factor of a LoRA")
            continue
        module = key.removeprefix(_PREFIX).removesuffix(".lora_A.weight")
        b = arrays[key.replace(".lora_A.", ".lora_B.")]
        base = find(weights, module + _SUFFIX, empty)
        if base is None:
            raise UserError(f"the weights lack '{module + _SUFFIX}', which '{path}' changes")
        scale = _scale(config, module, a.data.shape[0])
        factors = [np.asarray(load(x.data, x.dtype), np.float32) for x in (b, a)]
        left, right = (factors[1].T, factors[0].T) if config.get("fan_in_fan_out") else factors
        parts.append(_part(module + _SUFFIX, base, left, right, scale))
    hashes = {name: tensor_hash(array) for name, array in weights.items()}
    return Adapter(tuple(parts), hashes, {}, {"method": f"lora r={config.get('r')}"})


def _scale(config: Mapping[str, Any], module: str, rank: int) -> float:
    alpha = config.get("lora_alpha", rank)
    for pattern, value in (config.get("alpha_pattern") or {}).items():
        plain = pattern.removeprefix("^")
        if module == plain or module.endswith("." + plain):
            alpha = value
    return alpha / (rank**0.5 if config.get("use_rslora") else rank)


def _part(name: str, base: Array, b: np.ndarray, a: np.ndarray, scale: float) -> Part:
    if (b.shape[0], a.shape[1]) != base.data.shape:
        raise UserError(
            f"'{name}' is {list(base.data.shape)}, but the LoRA changes {[b.shape[0], a.shape[1]]}"
        )
    rows = np.flatnonzero(b.any(axis=1)) if _selects(b.T) else None
    columns = np.flatnonzero(a.any(axis=0)) if _selects(a) else None
    change = scale * (b.astype(np.float64) @ a.astype(np.float64))
    shape = tuple(base.data.shape)
    part = Part(name, shape, base.dtype, rows, columns, base.data, base.data)
    before = np.array(base.data[part.index])
    after = rounded(load(before, base.dtype) + change[part.index], base.dtype)
    if base.dtype == "bf16":
        after = (np.ascontiguousarray(after).view(np.uint32) >> 16).astype(np.uint16)
    return Part(name, shape, base.dtype, rows, columns, after, before)


def _selects(factor: np.ndarray) -> bool:
    """Whether each row of a factor has at most one element that is not zero."""
    return bool((np.count_nonzero(factor, axis=1) <= 1).all())


def _no_lora(name: str, why: str) -> UserError:
    return UserError(
        f"'{name}' cannot be written as a LoRA: {why}",
        notes=["leave it frozen when training, or use the adapter's own format"],
    )
