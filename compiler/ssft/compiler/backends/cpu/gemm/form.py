"""Contractions of strided arrays as matrix products: which loop is what, with which strides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ssft.compiler.backends.cpu.layout import Layout

ADDRESS = "index"
"""The type of an operand that is given as the address of its first element."""


@dataclass(frozen=True)
class Types:
    """Element types: of A and B, and of C. Sums of bf16 products are in f32."""

    operands: str
    result: str

    @property
    def sums(self) -> str:
        """The type that products are added up in."""
        return "f32" if self.result == "bf16" else self.result

    @property
    def name(self) -> str:
        """For names of functions."""
        return self.result if self.operands == self.result else f"{self.operands}_{self.result}"


@dataclass(frozen=True)
class Axis:
    """A loop of `size` iterations; strides in elements of the operands it moves, else 0."""

    size: int
    a: int = 0
    b: int = 0
    c: int = 0


@dataclass(frozen=True)
class Product:
    """``C[m, n] (+)= sum_k A[m, k] * B[k, n]``, repeated over the loops `outer`.

    `outer` holds batch loops, and loops that could not be merged into `m`, `n` or `k` because of
    their strides; those that move no C (``c == 0``) accumulate. Without `accumulate` what C held
    before is overwritten. `dtype` is the element type of C, and of A and B unless `operands` is
    given.
    """

    dtype: str
    m: Axis
    n: Axis
    k: Axis
    outer: tuple[Axis, ...]
    accumulate: bool
    operands: str = ""

    @property
    def types(self) -> Types:
        """The element types."""
        return Types(self.operands or self.dtype, self.dtype)

    @property
    def independent(self) -> int:
        """How many leading outer loops write disjoint parts of C: 0 or 1."""
        return int(bool(self.outer) and self.outer[0].c != 0)

    @property
    def multiplications(self) -> int:
        """Number of multiply-adds."""
        return math.prod(axis.size for axis in (self.m, self.n, self.k, *self.outer))


def product_of(
    maps: Sequence[tuple[int, ...]], layouts: Sequence[Layout], accumulate: bool
) -> Product:
    """Puts a contraction of strided arrays into the form of a `Product`.

    `maps` gives for A, B and C the loop that each dimension runs over. Loops of the same class are
    merged where the strides of every array allow it; of what remains the largest becomes the
    matrix dimension.
    """
    strides: list[dict[int, int]] = [
        {loop: stride for loop, stride in zip(loops, layout.strides, strict=True)}
        for loops, layout in zip(maps, layouts, strict=True)
    ]
    sizes = {
        loop: size
        for loops, layout in zip(maps, layouts, strict=True)
        for loop, size in zip(loops, layout.shape, strict=True)
    }
    classes: dict[str, list[Axis]] = {"batch": [], "m": [], "n": [], "k": []}
    for loop in sorted(sizes):
        axis = Axis(sizes[loop], *(table.get(loop, 0) for table in strides))
        member = tuple(loop in table for table in strides)
        kind: dict[tuple[bool, ...], str] = {
            (True, True, True): "batch",
            (True, False, True): "m",
            (False, True, True): "n",
        }
        classes[kind.get(member, "k")].append(axis)
    outer = _merge(classes["batch"])
    chosen = {}
    for name in ("m", "n", "k"):
        axes = _merge(classes[name]) or [Axis(1)]
        chosen[name] = max(axes, key=lambda axis: axis.size)
        axes.remove(chosen[name])
        outer += axes
    outer.sort(key=lambda axis: axis.c == 0)  # accumulating loops innermost
    dtype = layouts[2].dtype
    operands = layouts[0].dtype if layouts[0].dtype != dtype else ""
    return Product(dtype, **chosen, outer=tuple(outer), accumulate=accumulate, operands=operands)


def _merge(axes: list[Axis]) -> list[Axis]:
    """Merges loops whose strides nest in all arrays, and drops loops of one iteration."""
    merged: list[Axis] = []
    kept = [axis for axis in axes if axis.size != 1] or axes[:1]
    for axis in sorted(kept, key=lambda axis: (-axis.c, -axis.a, -axis.b)):
        if merged and _nests(merged[-1], axis):
            axis = Axis(merged.pop().size * axis.size, axis.a, axis.b, axis.c)
        merged.append(axis)
    return merged


def _nests(major: Axis, minor: Axis) -> bool:
    return all(
        getattr(major, array) == getattr(minor, array) * minor.size for array in ("a", "b", "c")
    )
