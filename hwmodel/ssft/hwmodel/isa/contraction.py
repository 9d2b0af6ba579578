"""Descriptors of the tensor unit: what a `Gemm` command computes.

A contraction is a loop nest ``c[...] += a[...] * b[...]``. Each dimension says by how many elements
it moves in each operand, so that transposed and strided operands need no copy. For a matrix product
``C[m, n] = A[m, k] B[k, n]`` of packed matrices, ``m`` has strides (a=k, b=0, c=n), and so on.

Arithmetic (this is the specification that results are compared with bit for bit): operands are
rounded to `multiply` (to nearest even), products are f32 (of two bf16 they are exact). The
iteration space of the K dimensions, in the order given, is cut into groups of `GROUP`; the last
one is filled up with products +0. The 16 products of a group are added as a balanced tree of f32
additions, neighbours first: ((p0+p1)+(p2+p3))+...; group sums are added to the f32 accumulator in
ascending order. Cutting K at a multiple of `GROUP` and accumulating therefore changes no bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ssft.hwmodel.isa.dtypes import DType

GROUP = 16
"""Products that a lane adds as one tree."""

DimKind = Literal["batch", "m", "n", "k"]


@dataclass(frozen=True, slots=True)
class Dim:
    """A dimension: its extent, and its stride in each operand, in elements."""

    kind: DimKind
    extent: int
    a: int
    b: int
    c: int


@dataclass(frozen=True, slots=True)
class Contraction:
    """What a `Gemm` command computes.

    `indexed` is the number of the dimension (of kind ``m`` or ``n``) along which the command's
    index list selects: position ``i`` of that dimension reads the operand at ``index[i] * stride``
    and writes the result at ``i * stride``; None where the command has no list.

    `lane_tile` = (rows, columns) of the output block that one lane computes at a time.
    """

    dims: tuple[Dim, ...]
    a_dtype: DType = "f32"
    b_dtype: DType = "f32"
    c_dtype: DType = "f32"
    multiply: Literal["bf16", "f32"] = "bf16"
    lane_tile: tuple[int, int] = (4, 8)
    indexed: int | None = None

    def extent(self, kind: DimKind) -> int:
        """Product of the extents of all dimensions of a kind."""
        return math.prod(d.extent for d in self.dims if d.kind == kind)

    @property
    def macs(self) -> int:
        """Multiply-adds of the contraction."""
        return math.prod(d.extent for d in self.dims)
