"""Putting adapters on a model's weights, and taking them off, exactly."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ssft.compiler.diagnostics import UserError
from ssft.compiler.weights import Array
from ssft.runtime.adapters.adapter import Adapter, Part, tensor_hash

Weights = Mapping[str, Array]
"""A model's parameters by name, with arrays that can be written to."""


def apply(weights: Weights, adapter: Adapter) -> None:
    """Writes an adapter's values into `weights`, in place.

    Raises:
        UserError: they are not those of the base that the adapter was trained on; nothing is
            written then.
    """
    check_base(weights, adapter)
    for part in adapter.parts:
        _array(weights, part)[part.index] = part.values


def remove(weights: Weights, adapter: Adapter) -> None:
    """Puts back what `apply` replaced: every byte is as before.

    Raises:
        UserError: the weights do not hold the adapter's values; nothing is written then.
    """
    for part in adapter.parts:
        if not _same(_array(weights, part)[part.index], part.values):
            raise UserError(
                f"'{part.name}' does not hold the adapter's values, so the adapter cannot be taken "
                "off",
                notes=["it was not put on, or the weights were changed afterwards"],
            )
    for part in adapter.parts:
        _array(weights, part)[part.index] = part.base


def switch(weights: Weights, old: Adapter, new: Adapter) -> None:
    """Takes one adapter off and puts another one on; a failure leaves the weights as they were."""
    remove(weights, old)
    try:
        apply(weights, new)
    except UserError:
        apply(weights, old)
        raise


def check_base(weights: Weights, adapter: Adapter) -> None:
    """Raises `UserError` unless `weights` are the base of the adapter; others may be among them."""
    for name, expected in adapter.hashes.items():
        found = find(weights, name, adapter)
        if found is None:
            raise UserError(
                f"the weights lack '{name}', which the adapter's base has",
                notes=["an adapter fits the very model that it was trained on"],
            )
        if tensor_hash(found) != expected:
            raise UserError(
                f"'{name}' is not as in the adapter's base: its SHA-256 differs",
                notes=_reasons(weights, adapter),
            )


def find(weights: Weights, name: str, adapter: Adapter) -> Array | None:
    """A parameter under its own name or another one of its."""
    names = (name, *adapter.aliases.get(name, ()))
    return next((weights[n] for n in names if n in weights), None)


def _reasons(weights: Weights, adapter: Adapter) -> list[str]:
    if all(_same(_array(weights, part)[part.index], part.values) for part in adapter.parts):
        return ["the adapter has been put on already"]
    return ["an adapter fits the very model that it was trained on"]


def _array(weights: Weights, part: Part) -> np.ndarray:
    found = weights.get(part.name)
    if found is None:
        raise UserError(f"the weights lack '{part.name}', which the adapter changes")
    if found.dtype != part.dtype or tuple(found.data.shape) != part.shape:
        raise UserError(
            f"'{part.name}' is {list(found.data.shape)} {found.dtype}, but the adapter is of "
            f"{list(part.shape)} {part.dtype}"
        )
    return found.data


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays have the same bits: of numbers, also where they are not a number."""
    return np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()
