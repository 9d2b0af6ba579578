"""What a selection method sees of a step: parameters and the axes of their dimensions.

Plain data, no IR: a method is a pure function from these to masks, and can be tested alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ssft.compiler.plan_schema import Mask


@dataclass(frozen=True)
class Factor:
    """One factor of a dimension: its axis, its size, and whether that axis may be permuted."""

    axis: str
    size: int
    free: bool


@dataclass(frozen=True)
class Dimension:
    """A dimension of a parameter: a concatenation of segments, each a product of factors.

    `uses` says what the forward pass does with it (``"input"``, ``"output"``). `produced_by` names
    the parameters that produce its axes as output channels (empty if one axis has no producer),
    `consumed_by` those that contract one of its axes.
    """

    size: int
    segments: tuple[tuple[Factor, ...], ...]
    uses: frozenset[str] = frozenset()
    produced_by: frozenset[str] = frozenset()
    consumed_by: frozenset[str] = frozenset()

    @property
    def key(self) -> tuple[tuple[tuple[str, int], ...], ...]:
        """Identifies the axes: equal for dimensions that move together."""
        return tuple(tuple((f.axis, f.size) for f in segment) for segment in self.segments)


@dataclass(frozen=True)
class Parameter:
    """A trainable parameter: its name in ``state_dict()`` and its dimensions as stored."""

    name: str
    dimensions: tuple[Dimension, ...]

    def dimension_used_as(self, use: str) -> int | None:
        """Returns the dimension (0 or 1) of a matrix that is used as `use` and nothing else.

        None if the parameter is no matrix or the use is not unambiguous.
        """
        if len(self.dimensions) != 2:
            return None
        found = [number for number, d in enumerate(self.dimensions) if d.uses == {use}]
        return found[0] if len(found) == 1 else None


FULL = Mask()
"""Everything trains."""


def mask_dimension(dim: int, indices: Sequence[int]) -> Mask:
    """Returns a mask of whole rows (`dim` 0) or whole columns (`dim` 1)."""
    chosen = tuple(int(index) for index in indices)
    return Mask(rows=chosen) if dim == 0 else Mask(columns=chosen)


def simplified(mask: Mask, shape: Sequence[int]) -> Mask | None:
    """Returns an equal mask without index lists of all of a dimension; None if nothing trains."""
    rows, columns = (
        None if chosen is None or len(set(chosen)) == size else chosen
        for chosen, size in zip((mask.rows, mask.columns), (*shape, 1, 1), strict=False)
    )
    if mask.combine == "intersection":
        return None if rows == () or columns == () else Mask(rows, columns)
    if rows is None or columns is None:
        return FULL
    if rows and columns:
        return Mask(rows, columns, "union")
    if rows or columns:
        return Mask(rows=rows) if rows else Mask(columns=columns)
    return None


@dataclass
class Draw:
    """Seeded random choice of units along dimensions, the same for dimensions of the same axes."""

    ratio: float
    seed: int
    _cache: dict[object, tuple[int, ...]] = field(default_factory=dict)

    def units(self, dimension: Dimension) -> tuple[int, ...]:
        """Draws whole units (heads of a head axis, channels of a plain one); sorted indices.

        The unit of a dimension with several factors is its minor factor: heads x head size is drawn
        by head. On free axes a random *legal* permutation is drawn and its prefix taken, so that
        the choice can always be made contiguous by co-permutation; e.g. with grouped queries: whole
        groups first, then part of one more group (algorithm: product of one permutation per axis).
        """
        key = ("units", dimension.key)
        if key not in self._cache:
            chosen: list[int] = []
            offset = 0
            for segment in dimension.segments:
                chosen += [offset + index for index in self._segment(segment)]
                offset += int(np.prod([factor.size for factor in segment], dtype=np.int64))
            self._cache[key] = tuple(sorted(chosen))
        return self._cache[key]

    def channels(self, name: str, dim: int, size: int) -> tuple[int, ...]:
        """Draws single indices of one dimension of one parameter; sorted."""
        generator = self._generator(f"{name}:{dim}")
        count = self.count(size)
        return tuple(sorted(int(i) for i in generator.choice(size, count, replace=False)))

    def count(self, size: int) -> int:
        """Number of units to choose of `size`: the ratio, rounded, at least 1 unless it is 0."""
        return 0 if self.ratio == 0 else max(1, round(self.ratio * size))

    def _segment(self, segment: tuple[Factor, ...]) -> list[int]:
        majors = segment[:-1] if len(segment) > 1 else segment
        width = segment[-1].size if len(segment) > 1 else 1
        sizes = [factor.size for factor in majors]
        generator = self._generator("/".join(f"{factor.axis}:{factor.size}" for factor in segment))
        if all(factor.free for factor in majors):
            grid = np.arange(int(np.prod(sizes))).reshape(sizes)
            for position, size in enumerate(sizes):
                grid = np.take(grid, generator.permutation(size), axis=position)
            order = grid.reshape(-1)
        else:
            order = generator.permutation(int(np.prod(sizes)))
        units = order[: self.count(len(order))]
        return [int(unit) * width + i for unit in units for i in range(width)]

    def _generator(self, label: str) -> np.random.Generator:
        # A stream per axis: adding a parameter to the model does not change the others' choice.
        return np.random.default_rng([self.seed, *label.encode()])
