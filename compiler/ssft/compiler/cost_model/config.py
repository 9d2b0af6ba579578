"""Architectures by name, and from the configuration file of a transformers model."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from ssft.compiler.cost_model.architecture import Architecture
from ssft.compiler.diagnostics import UserError

_DATA = Path(__file__).parent / "data"

_KEYS = {
    "hidden": ("hidden_size", "n_embd"),
    "feed_forward": ("intermediate_size", "n_inner", "ffn_dim"),
    "layers": ("num_hidden_layers", "n_layer"),
    "heads": ("num_attention_heads", "n_head"),
    "vocabulary": ("vocab_size",),
}
"""Keys of transformers configurations under which a size may stand, by our name for it."""


@cache
def _table(name: str) -> dict[str, dict[str, Any]]:
    return tomllib.loads((_DATA / name).read_text(encoding="utf-8"))


def model_names() -> list[str]:
    """Names of the models whose shapes come with the package."""
    return sorted(_table("models.toml"))


def named_architecture(name: str) -> Architecture:
    """Returns the shapes of a model by name; UserError if there is none of that name."""
    models = _table("models.toml")
    if name not in models:
        close = get_close_matches(name, models, n=1)
        hint = [f"did you mean '{close[0]}'?"] if close else []
        known = f"known: {', '.join(model_names())}; or give --config FILE.json"
        raise UserError(f"no model '{name}'", notes=[*hint, known])
    sizes = {key: value for key, value in models[name].items() if key != "source"}
    head_size = sizes["hidden"] // sizes["heads"]
    return Architecture(name=name, head_size=head_size, **sizes)


def architecture_from_config(config: Mapping[str, Any] | Any, name: str = "") -> Architecture:
    """Returns the architecture that a transformers configuration describes.

    `config` is a mapping with the keys of a ``config.json``, or an object with ``to_dict()``.
    Raises UserError for a family that the formulas do not cover, and for a missing size.
    """
    keys = config if isinstance(config, Mapping) else config.to_dict()
    kind = str(keys.get("model_type", "(none)"))
    families = _table("families.toml")
    if kind not in families:
        raise UserError(
            f"no cost formulas for model_type '{kind}'",
            notes=[f"covered: {', '.join(families)}; `ssftc --abstract` counts any other model"],
        )
    family = families[kind]
    sizes = {field: _size(keys, field, kind, family) for field in _KEYS}
    heads = sizes["heads"]
    biases = {key: bool(family.get(key)) for key in _BIASES}
    for bias, key in family.get("bias_keys", {}).items():
        biases[bias] = bool(keys.get(key))
    positions = family.get("positions_key")
    return Architecture(
        name=name or str(keys.get("_name_or_path") or kind),
        **sizes,
        **biases,
        key_value_heads=keys.get("num_key_value_heads") or heads,
        head_size=keys.get("head_dim") or sizes["hidden"] // heads,
        gated=family["gated"],
        tied=bool(keys.get("tie_word_embeddings", family.get("tied", False))),
        norm_vectors=family["norm_vectors"],
        positions=_integer(keys, positions) + family.get("positions_more", 0) if positions else 0,
    )


_BIASES = ("qkv_bias", "output_bias", "feed_forward_bias")


def architecture_from_file(path: str | Path) -> Architecture:
    """Reads a transformers ``config.json``; UserError if it is missing or not one."""
    try:
        keys = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read configuration '{path}': {error.strerror}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"not a JSON file: {error}", str(path)) from None
    if not isinstance(keys, dict):
        raise UserError("a configuration is a JSON object", str(path))
    return architecture_from_config(keys, Path(path).stem)


def _size(keys: Mapping[str, Any], field: str, kind: str, family: Mapping[str, Any]) -> int:
    for key in _KEYS[field]:
        if keys.get(key) is not None:
            return _integer(keys, key)
    if field == "feed_forward" and (multiple := family.get("feed_forward_default")):
        return multiple * _size(keys, "hidden", kind, family)
    raise UserError(
        f"the configuration of a '{kind}' says no {field} size",
        notes=[f"expected the key {' or '.join(_KEYS[field])}"],
    )


def _integer(keys: Mapping[str, Any], key: str) -> int:
    value = keys.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise UserError(f"configuration key '{key}' is {value!r}, expected a whole number")
    return value
