"""Compilation of the machine's inner loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def jit(function: Callable[..., Any]) -> Any:
    """Compiles `function` at its first call, and keeps the code on disk where that is possible.

    Floating-point operations are neither reordered nor contracted. Where no directory for the
    compiled code is writable, it is compiled once a process.
    """
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:
        # Numba looks for a writable directory when it decorates, and raises if there is none.
        return numba.njit(nogil=True)(function)
