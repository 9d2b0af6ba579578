"""Joining adapters of one base into one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ssft.compiler.backends.interpreter.formats import load, rounded, stored_type
from ssft.compiler.diagnostics import UserError
from ssft.compiler.rectangles import rectangles
from ssft.runtime.adapters.adapter import Adapter, Part


@dataclass(frozen=True)
class Fusion:
    """The joint adapter, and how many elements of each parameter several of them change."""

    adapter: Adapter
    overlap: dict[str, int]


def fuse(adapters: Sequence[Adapter]) -> Fusion:
    """Joins adapters that were trained on the same base.

    An element that one of them changes gets its value, exactly; one that several change gets the
    base's value and the sum of their changes (S2FT, section 6.2).

    Raises:
        UserError: there are none, or their bases differ.
    """
    if not adapters:
        raise UserError("there are no adapters to join")
    first = adapters[0]
    for other in adapters[1:]:
        if dict(other.hashes) != dict(first.hashes):
            raise UserError(
                "the adapters were trained on different bases",
                notes=["only changes of the same weights can be joined"],
            )
    parts: list[Part] = []
    overlap: dict[str, int] = {}
    for name in dict.fromkeys(part.name for adapter in adapters for part in adapter.parts):
        found = [part for adapter in adapters for part in adapter.parts if part.name == name]
        counts = _counts(found)
        several = int((counts > 1).sum())
        if several:
            overlap[name] = several
            parts += _joined(found, counts)
        else:
            parts += found
    about = {"method": " + ".join(a.about.get("method", "adapter") for a in adapters)}
    return Fusion(Adapter(tuple(parts), first.hashes, first.aliases, about), overlap)


def _counts(parts: Sequence[Part]) -> np.ndarray:
    """How many of the parts change each element of their parameter."""
    counts = np.zeros(parts[0].shape, np.int32)
    for part in parts:
        counts[part.index] += 1
    return counts


def _joined(parts: Sequence[Part], counts: np.ndarray) -> list[Part]:
    """Disjoint parts that hold what several parts of a parameter change."""
    like = parts[0]
    base = np.zeros(like.shape, stored_type(like.dtype))
    only = base.copy()
    total = np.zeros(like.shape, np.float64)
    for part in parts:
        base[part.index] = part.base
        only[part.index] = part.values
        total[part.index] += part.change
    added = rounded(load(base, like.dtype) + total, like.dtype)
    if like.dtype == "bf16":
        added = (np.ascontiguousarray(added).view(np.uint32) >> 16).astype(np.uint16)
    values = np.where(counts > 1, added, only)
    return [
        Part(like.name, like.shape, like.dtype, rows, columns, part(values), part(base))
        for rows, columns, part in _rectangles(counts > 0)
    ]


def _rectangles(
    changed: np.ndarray,
) -> list[tuple[np.ndarray | None, np.ndarray | None, Callable[[np.ndarray], np.ndarray]]]:
    """Disjoint rectangles of rows and columns that together are `changed`, and how to cut them."""
    if changed.ndim < 2:
        rows = np.flatnonzero(changed) if changed.ndim else None
        return [(rows, None, lambda array: np.array(array[rows]) if rows is not None else array)]
    # What is said of a row and a column holds for all dimensions behind them.
    matrix = changed.reshape(*changed.shape[:2], -1)[:, :, 0]
    indices = (np.ix_(rows, columns) for rows, columns in rectangles(matrix))
    return [(index[0].reshape(-1), index[1].reshape(-1), _cutter(index)) for index in indices]


def _cutter(index: tuple[np.ndarray, ...]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda array: np.array(array[index])
