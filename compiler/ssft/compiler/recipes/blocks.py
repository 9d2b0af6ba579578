"""Matrices cut into blocks, and masks that are made of rectangles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ssft.compiler.masks import Mask, Tile
from ssft.compiler.recipes.parameters import FULL
from ssft.compiler.rectangles import rectangles

Block = tuple[int, int]
"""Rows and columns of a block; those at the ends of a matrix may have fewer."""


def block_sums(values: np.ndarray, block: Block) -> np.ndarray:
    """The sum of each block of a matrix: [m, n] to [ceil(m / rows), ceil(n / columns)]."""
    for dim, size in enumerate(block):
        values = np.add.reduceat(values, np.arange(0, values.shape[dim], size), axis=dim)
    return values


def mask_of_blocks(chosen: np.ndarray, block: Block, shape: Sequence[int]) -> Mask:
    """The mask under which the blocks that are true in `chosen` train."""
    found = []
    for rows, columns in rectangles(chosen):
        tile = Tile(_spread(rows, block[0], shape[0]), _spread(columns, block[1], shape[1]))
        found.append(tile)
    return _mask(found, shape)


def united(masks: Iterable[Mask], shape: Sequence[int]) -> Mask:
    """The mask under which everything trains that does under one of `masks`."""
    marked = np.zeros((*shape, 1)[:2], bool)
    for mask in masks:
        for tile in mask.tiles(shape):
            sides = [
                np.arange(size) if side is None else np.asarray(side, np.int64)
                for (side, _), size in zip(tile.sides, marked.shape, strict=True)
            ]
            marked[np.ix_(*sides)] = True
    if len(shape) < 2:
        return Mask(rows=tuple(np.flatnonzero(marked).tolist()))
    return mask_of_blocks(marked, (1, 1), shape)


def _spread(blocks: np.ndarray, size: int, extent: int) -> tuple[int, ...] | None:
    """The indices of some blocks of a dimension; None for all of it."""
    indices = tuple(
        index
        for block in blocks.tolist()
        for index in range(block * size, min((block + 1) * size, extent))
    )
    return None if len(indices) == extent else indices


def _mask(tiles: Sequence[Tile], shape: Sequence[int]) -> Mask:
    """Rectangles as a mask; one alone is an intersection, which may be made contiguous."""
    if not tiles:
        return Mask((), ())
    if len(tiles) > 1:
        return Mask(combine="rectangles", rectangles=tuple(tiles))
    (tile,) = tiles
    return FULL if tile == Tile() else Mask(tile.rows, tile.columns)
