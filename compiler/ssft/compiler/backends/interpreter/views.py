"""Structured operations' loops, and operands as views over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ssft.compiler.backends.interpreter.formats import Unsupported
from ssft.dialects._mlir import ir

Linear = tuple[dict[int, int], int]
"""An affine expression: the coefficient of each loop that it uses, and its constant."""


@dataclass(frozen=True)
class View:
    """How an operand is read: one affine expression of the loops for each of its dimensions."""

    expressions: tuple[Linear, ...]
    sizes: tuple[int, ...]

    @property
    def loops(self) -> frozenset[int]:
        """The loops that the operand is read along."""
        return frozenset(loop for coefficients, _ in self.expressions for loop in coefficients)

    def of(self, array: Any) -> np.ndarray:
        """`array` with one dimension per loop, of extent 1 where it does not depend on it."""
        array = np.asarray(array)
        strides, start = [0] * len(self.sizes), []
        for (coefficients, constant), stride in zip(self.expressions, array.strides, strict=True):
            start.append(slice(constant, None))
            for loop, factor in coefficients.items():
                strides[loop] += factor * stride
        used = self.loops
        shape = [size if loop in used else 1 for loop, size in enumerate(self.sizes)]
        return as_strided(array[(*start, ...)], shape, strides, writeable=False)


@dataclass(frozen=True)
class Target:
    """How a result is laid out: the loop of each dimension, None for one of extent 1."""

    loops: tuple[int | None, ...]
    shape: tuple[int, ...]

    def arrange(self, array: np.ndarray, kept: Sequence[int]) -> np.ndarray:
        """An array over the loops `kept`, in their order, as the result tensor."""
        order = [kept.index(loop) for loop in self.loops if loop is not None]
        return np.transpose(array, order).reshape(self.shape)


def parse_maps(
    maps: Sequence[ir.AffineMap], shapes: Sequence[tuple[int, ...]]
) -> tuple[list[View], tuple[int, ...]]:
    """Views of operands of the given shapes, and the trip counts of all loops.

    Raises `Unsupported` if a map is not linear or a loop's trip count does not show in a shape.
    """
    parsed = [tuple(_linear(result) for result in map_.results) for map_ in maps]
    sizes: dict[int, int] = {}
    for expressions, shape in zip(parsed, shapes, strict=True):
        for (coefficients, constant), size in zip(expressions, shape, strict=True):
            if len(coefficients) == 1 and set(coefficients.values()) == {1} and constant == 0:
                sizes.setdefault(next(iter(coefficients)), size)
    count = maps[0].n_dims
    if set(sizes) != set(range(count)):
        raise Unsupported("a loop without a dimension of its own")
    extents = tuple(sizes[loop] for loop in range(count))
    return [View(expressions, extents) for expressions in parsed], extents


def target_of(view: View, shape: tuple[int, ...]) -> Target:
    """The layout of the result that is written through `view`."""
    loops: list[int | None] = []
    for (coefficients, constant), size in zip(view.expressions, shape, strict=True):
        plain = list(coefficients.items()) if constant == 0 else []
        if len(plain) == 1 and plain[0][1] == 1 and plain[0][0] not in loops:
            loops.append(plain[0][0])
        elif not coefficients and constant == 0 and size == 1:
            loops.append(None)
        else:
            raise Unsupported("a result that is no permutation of loops")
    return Target(tuple(loops), shape)


def _linear(expression: ir.AffineExpr) -> Linear:
    if isinstance(expression, ir.AffineDimExpr):
        return {expression.position: 1}, 0
    if isinstance(expression, ir.AffineConstantExpr):
        return {}, expression.value
    if isinstance(expression, ir.AffineAddExpr):
        (left, a), (right, b) = _linear(expression.lhs), _linear(expression.rhs)
        return {d: left.get(d, 0) + right.get(d, 0) for d in {**left, **right}}, a + b
    if isinstance(expression, ir.AffineMulExpr):
        (left, a), (right, b) = _linear(expression.lhs), _linear(expression.rhs)
        if left and right:
            raise Unsupported(f"index expression {expression}")
        factor = b if left else a
        return {d: c * factor for d, c in (left or right).items()}, a * b
    raise Unsupported(f"index expression {expression}")
