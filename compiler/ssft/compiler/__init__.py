"""The SSFT compiler: ``compile`` a PyTorch model's training step under a `Recipe` into a `Plan`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssft.compiler.api import compile, compile_file
    from ssft.compiler.diagnostics import UserError
    from ssft.compiler.plan import Plan
    from ssft.compiler.recipes import Recipe

_HOMES = {
    "Plan": "plan",
    "Recipe": "recipes",
    "UserError": "diagnostics",
    "compile": "api",
    "compile_file": "api",
}

__all__ = ["Plan", "Recipe", "UserError", "compile", "compile_file"]


def __getattr__(name: str) -> Any:
    # ssft-opt imports this package and must start in 0.3 s: what costs is imported when it is used.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
