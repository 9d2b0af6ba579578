"""How much elements and channels of parameters matter, by different measures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from ssft.compiler.diagnostics import UserError
from ssft.compiler.recipes.statistics import Statistics

Importance = Literal[
    "random", "weight", "activation", "gradient", "product", "fisher", "taylor", "sensitivity"
]
"""``weight``, ``activation``, ``gradient`` and ``product`` are W, A, G and S of S2FT (arXiv
2412.06289, Table 4): 2-norms of a channel's weights, activations and gradients, and the product of
the first two. ``fisher`` is the sum of squared gradients (FISH Mask, arXiv 2111.09839), ``taylor``
the first-order change of the loss, weight times gradient (arXiv 1906.10771), ``sensitivity`` a
second-order one, smoothed, times how much it varies (LoSiA, arXiv 2507.04487, section 3.2)."""

IMPORTANCES: tuple[str, ...] = get_args(Importance)

_ELEMENTS: dict[str, Callable[[Statistics, str], np.ndarray]] = {
    "weight": lambda s, name: np.abs(s.get("weight", name)),
    "gradient": lambda s, name: np.abs(s.get("gradient", name)),
    "fisher": lambda s, name: s.get("fisher", name),
    "taylor": lambda s, name: np.abs(s.get("weight", name) * s.get("gradient", name)),
    "sensitivity": lambda s, name: s.get("sensitivity", name) * s.get("uncertainty", name),
}


def element_importance(statistics: Statistics, name: str, importance: Importance) -> np.ndarray:
    """The importance of each element of a parameter, in its shape, non-negative.

    Raises:
        UserError: `importance` is not one of elements, or was not measured.
    """
    if importance not in _ELEMENTS:
        raise UserError(
            f"importance '{importance}' is one of channels, not of elements",
            notes=[f"measures of elements: {', '.join(_ELEMENTS)}"],
        )
    return _ELEMENTS[importance](statistics, name)


def channel_importance(
    statistics: Statistics, name: str, dim: int, is_input: bool, importance: Importance
) -> np.ndarray:
    """The square of the importance of each channel along dimension `dim` of a parameter.

    `is_input` says whether the matrix contracts that dimension; activations are those of its input
    channels, or of its output channels. Squares add up: those of a unit's channels give the
    unit's, those of parameters that share an axis give the axis'.

    Raises:
        UserError: something was not measured.
    """
    if importance == "activation":
        return statistics.get("input" if is_input else "output", name)
    if importance == "product":
        activation = channel_importance(statistics, name, dim, is_input, "activation")
        return activation * channel_importance(statistics, name, dim, is_input, "weight")
    elements = element_importance(statistics, name, importance).astype(np.float64)
    return np.square(elements).sum(axis=tuple(d for d in range(elements.ndim) if d != dim))
