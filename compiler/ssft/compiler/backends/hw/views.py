"""Tensors as views of buffers: reshapes, transposes and slices that move no data.

A dimension of a view is a list of *factors*, major first, each with an extent and a stride. One
factor is the usual strided dimension; more of them come from collapsing dimensions that do not lie
next to each other in memory, e.g. heads and channels of a transposed attention output. A factor
with an index list is a gathered dimension: position ``i`` is at ``list[i] * stride``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from ssft.hwmodel.isa import Purpose
from ssft.hwmodel.isa.dtypes import ELEMENT_BYTES, DType


@dataclass(eq=False, slots=True)
class Buffer:
    """Storage for `elements` elements, laid out as the views of it say.

    `kind`: an argument of the step (`argument` is its number), a constant (`data`, flat), or a
    value computed on the way. A constant with `splat` has one element that stands for all.
    `storage` is the element type in memory where that is another one, and `mirror` the number of
    the argument that the buffer is a copy of. Traffic is counted by `purpose`.
    """

    name: str
    dtype: DType
    elements: int
    kind: Literal["argument", "constant", "value"] = "value"
    shape: tuple[int, ...] = ()
    order: tuple[int, ...] = ()
    argument: int | None = None
    data: np.ndarray | None = None
    splat: int | float | None = None
    storage: DType | None = None
    mirror: int | None = None
    purpose: Purpose = "activation"
    number: int = field(default=0)

    @property
    def stored_as(self) -> DType:
        """Element type in memory."""
        return self.storage or self.dtype

    @property
    def bytes(self) -> int:
        """Size in memory."""
        return self.elements * ELEMENT_BYTES[self.stored_as]


@dataclass(frozen=True, slots=True)
class Factor:
    """`extent` positions, `stride` elements apart.

    `index` is a list that is looked up first; its numbers are below `source`.
    """

    extent: int
    stride: int
    index: View | None = None
    source: int = 0


Dimension = tuple[Factor, ...]


@dataclass(frozen=True, slots=True)
class View:
    """A tensor: a buffer, the element where it starts, and how each dimension moves."""

    buffer: Buffer
    offset: int
    dims: tuple[Dimension, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Extent of each dimension."""
        return tuple(math.prod(f.extent for f in dim) for dim in self.dims)

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def index_factors(self) -> list[Factor]:
        """Factors that look up a list."""
        return [f for dim in self.dims for f in dim if f.index is not None]


def packed_strides(shape: Sequence[int], order: Sequence[int] | None = None) -> list[int]:
    """Strides of dimensions laid out without gaps, `order` (major first; default as they come)."""
    strides = [0] * len(shape)
    step = 1
    for dim in reversed(order if order is not None and len(order) else range(len(shape))):
        strides[dim] = step
        step *= shape[dim]
    return strides


def whole(buffer: Buffer, shape: Sequence[int], order: Sequence[int] | None = None) -> View:
    """All of a buffer as a tensor of `shape`."""
    if buffer.splat is not None:
        return View(buffer, 0, tuple((Factor(e, 0),) for e in shape))
    strides = packed_strides(shape, order)
    return View(buffer, 0, tuple((Factor(e, s),) for e, s in zip(shape, strides, strict=True)))


def permuted(view: View, permutation: Sequence[int]) -> View:
    """The transposed view: dimension ``i`` of the result is ``permutation[i]`` of `view`."""
    return replace(view, dims=tuple(view.dims[p] for p in permutation))


def simplified(dim: Sequence[Factor]) -> Dimension:
    """Drops unit factors and merges factors that lie next to each other in memory."""
    out: list[Factor] = []
    for factor in dim:
        if factor.extent == 1 and factor.index is None:
            continue
        mergeable = out and factor.index is None and out[-1].index is None
        if mergeable and out[-1].stride == factor.stride * factor.extent:
            out[-1] = Factor(out[-1].extent * factor.extent, factor.stride)
        else:
            out.append(factor)
    return tuple(out) or (Factor(1, 0),)


def collapsed(view: View, groups: Sequence[Sequence[int]]) -> View:
    """Joins each group of neighbouring dimensions into one."""
    dims = (simplified([f for d in group for f in view.dims[d]]) for group in groups)
    return replace(view, dims=tuple(dims))


def split_dimension(dim: Dimension, extents: Sequence[int]) -> list[Dimension] | None:
    """Splits a dimension into dimensions of `extents`; None if factors straddle the cut."""
    if len(extents) == 1:
        return [dim]
    if any(f.index is not None and f.extent == 1 for f in dim):
        return None
    refined = refine([tuple(f.extent for f in dim), tuple(extents)])
    if refined is None:
        return None
    factors = split_factors(dim, refined)
    if factors is None:
        return None
    out: list[Dimension] = []
    position = 0
    for extent in extents:
        taken: list[Factor] = []
        while math.prod(f.extent for f in taken) < extent:
            taken.append(factors[position])
            position += 1
        out.append(simplified(taken) if taken else (Factor(1, 0),))
    return out


def expanded(view: View, groups: Sequence[Sequence[int]], shape: Sequence[int]) -> View | None:
    """Splits each dimension into the group of result dimensions it becomes; None if impossible."""
    dims: list[Dimension] = []
    for dim, group in zip(view.dims, groups, strict=True):
        parts = split_dimension(dim, [shape[d] for d in group])
        if parts is None:
            return None
        dims += parts
    dims += [(Factor(1, 0),)] * (len(shape) - len(dims))
    return replace(view, dims=tuple(dims))


def sliced(
    view: View, offsets: Sequence[int], sizes: Sequence[int], steps: Sequence[int]
) -> View | None:
    """A sub-tensor; None if a dimension of several factors would be cut."""
    offset = view.offset
    dims: list[Dimension] = []
    for dim, start, size, step in zip(view.dims, offsets, sizes, steps, strict=True):
        factor = dim[0]
        extent = math.prod(f.extent for f in dim)
        if (start, size, step) == (0, extent, 1):
            dims.append(dim)
            continue
        if len(dim) > 1:
            inner = math.prod(f.extent for f in dim[1:])
            if step != 1 or start % inner or size % inner or factor.index is not None:
                return None
            offset += start // inner * factor.stride
            dims.append(simplified((replace(factor, extent=size // inner), *dim[1:])))
            continue
        if factor.index is not None:
            if step != 1:
                return None  # commands read lists without gaps
            listed = sliced(factor.index, [start], [size], [1])
            assert listed is not None
            dims.append((replace(factor, extent=size, index=listed),))
        else:
            offset += start * factor.stride
            dims.append((Factor(size, factor.stride * step),))
    return View(view.buffer, offset, tuple(dims))


def gathered(view: View, dim: int, index: View) -> View | None:
    """Selects positions `index` of dimension `dim`; None if it is no plain dimension.

    `index` is a list without gaps.
    """
    if len(view.dims[dim]) != 1 or view.index_factors:
        return None
    source = view.dims[dim][0]
    factor = Factor(index.shape[0], source.stride, index, source.extent)
    return replace(view, dims=(*view.dims[:dim], (factor,), *view.dims[dim + 1 :]))


def refine(factorizations: Sequence[Sequence[int]]) -> tuple[int, ...] | None:
    """The coarsest list of extents that refines all factorizations of one number.

    None where there is none: (4, 6) and (6, 4) cut 24 in ways that do not nest.
    """
    cuts = {1}
    for extents in factorizations:
        size = 1
        for extent in reversed(extents):
            size *= extent
            cuts.add(size)
    ordered = sorted(cuts)
    if any(b % a for a, b in itertools.pairwise(ordered)):
        return None
    return tuple(b // a for a, b in itertools.pairwise(ordered))[::-1]


def common_extents(dims: Sequence[Dimension]) -> tuple[int, ...] | None:
    """Extents that the factors of all `dims`, dimensions of one size, can be split into.

    None where there are none. A single position takes a loop of its own only where it is looked up.
    """
    if any(f.index is not None and f.extent == 1 for dim in dims for f in dim):
        return (1,) if all(len(dim) == 1 and dim[0].extent == 1 for dim in dims) else None
    return refine([tuple(f.extent for f in dim) for dim in dims])


def split_factors(dim: Dimension, extents: Sequence[int]) -> list[Factor] | None:
    """The factors of `dim`, split so that their extents are `extents`, a refinement of theirs."""
    if tuple(extents) == (1,):
        return list(dim)
    out: list[Factor] = []
    remaining = [f for f in dim if f.extent > 1 or f.index is not None]
    wanted = list(extents)
    for factor in remaining:
        parts: list[int] = []
        while math.prod(parts) < factor.extent:
            parts.append(wanted.pop(0))
        if factor.index is not None and len(parts) > 1:
            return None
        step = factor.stride * factor.extent
        for part in parts or [1]:
            step //= part
            stride = step if factor.index is None else factor.stride
            out.append(Factor(part, stride, factor.index, factor.source))
    return out
