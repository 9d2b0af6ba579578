"""From how a plan stores parameters, states and gradients to the model's own names and layout."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ssft.compiler.permutation import Orders, unpermute
from ssft.compiler.plan_schema import ArgumentInfo, ResultInfo, Tile


def original(array: np.ndarray, argument: ArgumentInfo, orders: Orders) -> np.ndarray:
    """A copy of `array`, stored as `argument` says, in the layout of the model."""
    if argument.permuted is None:
        return array.copy()
    restored = unpermute(array, argument.permuted, orders)
    return restored.copy() if np.shares_memory(restored, array) else restored


def scatter_tile(full: np.ndarray, part: np.ndarray, tile: Tile) -> None:
    """Adds the slice `part` to the original rows and columns that `tile` says it holds."""
    indices = [
        np.arange(size) if chosen is None else np.asarray(chosen, np.int64)
        for size, chosen in zip(full.shape[:2], (tile.rows, tile.columns), strict=False)
    ]
    full[np.ix_(*indices)] += part


def full_layout(
    parts: list[tuple[ArgumentInfo | ResultInfo, np.ndarray]],
    parameter: ArgumentInfo,
    orders: Orders,
) -> np.ndarray:
    """The sum of the slices `parts` of something shaped like `parameter`, zeros elsewhere.

    Tiles of one mask are disjoint; the addends of a tied parameter's gradient are not.
    """
    if len(parts) == 1 and parts[0][0].tile is None:
        info, array = parts[0]
        permuted = info.permuted or parameter.permuted
        if permuted is None or array.shape != parameter.shape:
            return array.copy()
        restored = unpermute(array, permuted, orders)
        return restored.copy() if np.shares_memory(restored, array) else restored
    full = np.zeros(parameter.shape, parts[0][1].dtype)
    for info, array in parts:
        if info.permuted is not None:
            array = unpermute(array, info.permuted, orders)
        scatter_tile(full, array, info.tile or Tile())
    return full


def with_aliases(arrays: Mapping[str, np.ndarray], parameters: tuple[ArgumentInfo, ...]) -> dict:
    """`arrays` and, for each tied parameter, the same array under its other names."""
    result = {}
    for parameter in parameters:
        for name in (parameter.name, *parameter.aliases):
            result[name] = arrays[parameter.name]
    return result
