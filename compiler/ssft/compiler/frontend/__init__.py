"""The frontend: an ordinary PyTorch file becomes ``@step`` in linalg on tensors.

`load_model_file` runs the user's file, `capture_file` or `capture` turn its model, batch, loss and
optimizer into a `CapturedStep`. Importing this package is cheap; torch is imported with the first
use of a name.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssft.compiler.frontend.captured_step import CapturedStep, capture, capture_file
    from ssft.compiler.frontend.model_file import ModelDefinition, load_model_file
    from ssft.compiler.frontend.optimizers import OptimizerSpec

_HOMES = {
    "CapturedStep": "captured_step",
    "ModelDefinition": "model_file",
    "OptimizerSpec": "optimizers",
    "capture": "captured_step",
    "capture_file": "captured_step",
    "load_model_file": "model_file",
}

__all__ = [
    "CapturedStep",
    "ModelDefinition",
    "OptimizerSpec",
    "capture",
    "capture_file",
    "load_model_file",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
