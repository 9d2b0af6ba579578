"""From how a plan stores parameters, states and gradients to the model's own names and layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ssft.compiler.permutation import Orders, unpermute
from ssft.compiler.plan_schema import ArgumentInfo, ResultInfo, Tile


def original(array: np.ndarray, info: ArgumentInfo | ResultInfo, orders: Orders) -> np.ndarray:
    """A copy of `array`, stored as `info` says, with every dimension in original order."""
    if info.permuted is None:
        return array.copy()
    restored = unpermute(array, info.permuted, orders)
    return restored.copy() if np.shares_memory(restored, array) else restored


def scatter_tile(full: np.ndarray, part: np.ndarray, tile: Tile) -> None:
    """Writes the slice `part` to the original rows and columns that `tile` says it holds."""
    indices = [
        np.arange(size) if chosen is None else np.asarray(chosen, np.int64)
        for size, chosen in zip(full.shape[:2], (tile.rows, tile.columns), strict=False)
    ]
    full[np.ix_(*indices)] = part


def full_layout(
    parts: Sequence[tuple[ArgumentInfo | ResultInfo, np.ndarray]],
    shape: tuple[int, ...],
    orders: Orders,
) -> np.ndarray:
    """The slices `parts` of something of shape `shape` in original layout, zeros elsewhere.

    A part without ``ssft.tile`` is the whole of it.
    """
    full = np.zeros(shape, parts[0][1].dtype)
    for info, array in parts:
        restored = original(array, info, orders)
        if info.tile is None:
            full[...] = restored
        else:
            scatter_tile(full, restored, info.tile)
    return full


def with_aliases(
    arrays: Mapping[str, np.ndarray], parameters: Sequence[ArgumentInfo]
) -> dict[str, np.ndarray]:
    """`arrays` and, for each tied parameter, the same array under its other names."""
    result = {}
    for parameter in parameters:
        for name in (parameter.name, *parameter.aliases):
            result[name] = arrays[parameter.name]
    return result
