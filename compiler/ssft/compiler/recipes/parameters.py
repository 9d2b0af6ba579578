"""What a selection method sees of a step: parameters and the axes of their dimensions.

Plain data, no IR: a method is a pure function from these to masks, and can be tested alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

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
    """A trainable parameter: its name in ``state_dict()`` and its dimensions as stored.

    `position` orders parameters by where the forward pass first uses them. `is_bias` says that it
    is a vector that the forward pass only adds to something.
    """

    name: str
    dimensions: tuple[Dimension, ...]
    position: int = 0
    is_bias: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        return tuple(dimension.size for dimension in self.dimensions)

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def is_matrix(self) -> bool:
        """Whether the forward pass multiplies by it."""
        return len(self.dimensions) == 2 and all(d.uses for d in self.dimensions)

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
    if mask.combine == "rectangles":
        return mask if mask.tiles(shape) else None
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
