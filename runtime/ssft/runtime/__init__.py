"""Running plans: `Session` trains a compiled step, checkpoints it and gives the weights back."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssft.runtime.session import Session

__all__ = ["Session"]


def __getattr__(name: str) -> Any:
    # Lazy: importing the package must not load MLIR.
    if name == "Session":
        return import_module("ssft.runtime.session").Session
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
