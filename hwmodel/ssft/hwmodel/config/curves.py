"""Efficiency curves: points ``(x, efficiency)``, and what holds between them."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

Curve = tuple[tuple[float, float], ...]


def problem(curve: Curve) -> str | None:
    """What is wrong with a curve; None if nothing.

    In these limits neither efficiency nor time ever falls as x grows.
    """
    if not curve:
        return "a curve needs at least one point"
    if any(x <= 0 or not 0 < y <= 1 for x, y in curve):
        return "a point is [x > 0, efficiency in (0, 1]]"
    if any(a[0] >= b[0] or a[1] > b[1] for a, b in pairwise(curve)):
        return "points must ascend, and efficiency must not fall"
    if any(a[0] * b[1] > b[0] * a[1] for a, b in pairwise(curve)):
        return "efficiency must not grow faster than x, or more would take less time"
    return None


@lru_cache(maxsize=1 << 16)
def interpolate(curve: Curve, x: float) -> float:
    """Efficiency at `x`.

    Between points the time of a run, x / efficiency, is linear in x: an overhead and a rate. Before
    the first and beyond the last point, efficiency is constant.
    """
    if x <= curve[0][0]:
        return curve[0][1]
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x <= x1:
            time = x0 / y0 + (x1 / y1 - x0 / y0) * (x - x0) / (x1 - x0)
            return min(x / time, y1)
    return curve[-1][1]
