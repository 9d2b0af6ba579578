"""Permuted storage: from the contents of ``ssft.permuted``/``ssft.permutations`` to index arrays.

A dimension is stored in permuted order axis by axis: its layout says how axes make it up
(``docs/architecture.md``, "The step function"), and each named axis has an order, `order[i]` being
the original index at permuted position i. Pure NumPy, and exact: `unpermute` undoes `permute`
for arrays of any type.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ssft.compiler.diagnostics import UserError

if TYPE_CHECKING:
    from ssft.compiler.plan_schema import Permutation

Order = npt.NDArray[np.int64]
Orders = Mapping[str, Order]
"""Orders of the named axes, as made by `order`."""

_TOKEN = re.compile(r"\s*(?:([0-9]+)|([A-Za-z_][A-Za-z0-9_.$-]*)|([*+()]))")


def order(front: Iterable[int], size: int) -> Order:
    """Returns `front` followed by the other indices below `size` in ascending order.

    Raises:
        UserError: an index of `front` is out of range or repeats.
    """
    head = np.asarray(list(front), dtype=np.int64)
    if head.size and (head.min() < 0 or head.max() >= size):
        raise UserError(f"an index in {head.tolist()} is outside an axis of size {size}")
    rest = np.ones(size, dtype=bool)
    rest[head] = False
    result = np.concatenate([head, np.flatnonzero(rest)])
    if result.size != size:
        raise UserError(f"an index repeats in the front {head.tolist()} of an axis")
    return result


def inverse(permutation: Order) -> Order:
    """Returns the permutation that undoes `permutation`."""
    result = np.empty_like(permutation)
    result[permutation] = np.arange(permutation.size, dtype=permutation.dtype)
    return result


def axis_orders(permutations: Mapping[str, Permutation]) -> dict[str, Order]:
    """Returns the orders of a plan's ``ssft.permutations``."""
    return {name: order(axis.front, axis.size) for name, axis in permutations.items()}


@dataclass(frozen=True)
class Layout:
    """A dimension: `segments` one after the other, each a product of factors, major first.

    A factor is a size (an axis left as it is), the name of an axis, or a `Layout` in parentheses.
    """

    segments: tuple[tuple[int | str | Layout, ...], ...]

    @classmethod
    def parse(cls, text: str) -> Layout:
        """Reads ``"h*16 + h*16 + 64"``; ``*`` binds stronger than ``+``, parentheses nest.

        Raises:
            UserError: `text` is not a layout.
        """
        tokens = _tokens(text)
        layout, end = _parse_sum(tokens, 0, text)
        if end != len(tokens):
            raise _malformed(text)
        return layout

    def size(self, axes: Orders) -> int:
        """Returns the number of indices, given the named axes' orders."""
        total = 0
        for segment in self.segments:
            extent = 1
            for factor in segment:
                extent *= _factor_size(factor, axes)
            total += extent
        return total

    def names(self) -> Iterator[str]:
        """Iterates over the names of axes, in order, with repeats."""
        for segment in self.segments:
            for factor in segment:
                if isinstance(factor, str):
                    yield factor
                elif isinstance(factor, Layout):
                    yield from factor.names()

    def __str__(self) -> str:
        return " + ".join(
            "*".join(f"({f})" if isinstance(f, Layout) else str(f) for f in segment)
            for segment in self.segments
        )


def dimension_order(layout: Layout | str, axes: Orders) -> Order:
    """Returns the index array of a dimension: ``permuted[i] = original[index[i]]``.

    Raises:
        UserError: the layout is malformed or names an axis that is not in `axes`.
    """
    layout = Layout.parse(layout) if isinstance(layout, str) else layout
    pieces = []
    start = 0
    for segment in layout.segments:
        piece = np.zeros(1, dtype=np.int64)
        for factor in segment:
            inner = _factor_order(factor, axes)
            piece = (piece[:, None] * inner.size + inner[None, :]).ravel()
        pieces.append(start + piece)
        start += piece.size
    return np.concatenate(pieces)


def permute(array: np.ndarray, layouts: Sequence[Layout | str], axes: Orders) -> np.ndarray:
    """Returns `array` in permuted order; `layouts` holds one layout per dimension.

    The result shares memory with `array` only where no named axis occurs.

    Raises:
        UserError: a layout does not fit its dimension.
    """
    return _reorder(array, layouts, axes, undo=False)


def unpermute(array: np.ndarray, layouts: Sequence[Layout | str], axes: Orders) -> np.ndarray:
    """Returns `array`, stored in permuted order, in the original order; undoes `permute`."""
    return _reorder(array, layouts, axes, undo=True)


def _reorder(
    array: np.ndarray, layouts: Sequence[Layout | str], axes: Orders, *, undo: bool
) -> np.ndarray:
    if len(layouts) != array.ndim:
        raise UserError(f"{len(layouts)} layouts for an array of {array.ndim} dimensions")
    for dim, given in enumerate(layouts):
        layout = Layout.parse(given) if isinstance(given, str) else given
        size = layout.size(axes)
        if size != array.shape[dim]:
            raise UserError(
                f"layout '{layout}' has {size} indices, but dimension {dim} has {array.shape[dim]}"
            )
        if any(True for _ in layout.names()):
            index = dimension_order(layout, axes)
            array = np.take(array, inverse(index) if undo else index, axis=dim)
    return array


def _factor_size(factor: int | str | Layout, axes: Orders) -> int:
    if isinstance(factor, Layout):
        return factor.size(axes)
    return factor if isinstance(factor, int) else _axis(factor, axes).size


def _factor_order(factor: int | str | Layout, axes: Orders) -> Order:
    if isinstance(factor, Layout):
        return dimension_order(factor, axes)
    return np.arange(factor, dtype=np.int64) if isinstance(factor, int) else _axis(factor, axes)


def _axis(name: str, axes: Orders) -> Order:
    if name not in axes:
        raise UserError(
            f"a layout names axis '{name}', which has no permutation",
            notes=[f"axes with a permutation: {', '.join(sorted(axes)) or 'none'}"],
        )
    return axes[name]


def _tokens(text: str) -> list[int | str]:
    """Numbers as int, names with a leading quote, punctuation as itself."""
    tokens: list[int | str] = []
    end = len(text.rstrip())
    position = 0
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise _malformed(text)
        number, name, mark = match.groups()
        tokens.append(int(number) if number else f"'{name}" if name else mark)
        position = match.end()
    return tokens


def _parse_sum(tokens: list[int | str], at: int, text: str) -> tuple[Layout, int]:
    segments = []
    while True:
        segment, at = _parse_product(tokens, at, text)
        segments.append(segment)
        if at == len(tokens) or tokens[at] != "+":
            return Layout(tuple(segments)), at
        at += 1


def _parse_product(
    tokens: list[int | str], at: int, text: str
) -> tuple[tuple[int | str | Layout, ...], int]:
    factors: list[int | str | Layout] = []
    while True:
        token = tokens[at] if at < len(tokens) else ")"
        if token == "(":
            factor, at = _parse_sum(tokens, at + 1, text)
            if at == len(tokens) or tokens[at] != ")":
                raise _malformed(text)
            factors.append(factor)
        elif isinstance(token, int):
            factors.append(token)
        elif token.startswith("'"):
            factors.append(token[1:])
        else:
            raise _malformed(text)
        at += 1
        if at == len(tokens) or tokens[at] != "*":
            return tuple(factors), at
        at += 1


def _malformed(text: str) -> UserError:
    return UserError(
        f"'{text}' is not a dimension layout",
        notes=["expected sizes and axis names joined by '*' and '+', e.g. \"64\" or \"g*4*16\""],
    )
