"""The one module that imports ``torch_mlir``.

Everything else takes MLIR's Python bindings from here, so that a change of the (exactly pinned)
wheel is adapted to in one place. Importing this module must stay cheap: it loads neither torch nor
numpy, which `ssft-opt` relies on to start within 0.3 s. What is expensive is behind a function.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

# torch_mlir.ir imports numpy for a handful of attribute builders that we do not use; numpy costs
# 0.1 s. The binding tolerates its absence, so hide it for the length of this import.
_hide_numpy = "numpy" not in sys.modules
if _hide_numpy:
    sys.modules["numpy"] = None  # type: ignore[assignment]
try:
    from torch_mlir import ir, rewrite
    from torch_mlir._mlir_libs._mlir import globals as _globals
    from torch_mlir.dialects import ext
    from torch_mlir.passmanager import PassManager
finally:
    if _hide_numpy:
        del sys.modules["numpy"]

# Without this, each access to one of our ops pays a failing import (48 us instead of 2 us).
_globals.append_dialect_search_prefix("ssft.dialects")

__all__ = [
    "PassManager",
    "execution_engine",
    "ext",
    "fx_importer",
    "ir",
    "linalg_indexing_maps",
    "load_irdl",
    "preload_linalg",
    "register_torch_dialect",
    "rewrite",
    "torch_decompositions",
]


class _DeferredNumpy(ModuleType):
    """Stands for numpy in a module that seldom uses it; imports it at the first use."""

    def __getattr__(self, name: str) -> Any:
        import numpy

        return getattr(numpy, name)


def preload_linalg() -> None:
    """Imports the Python classes of ``linalg`` operations without numpy.

    The bindings import them by themselves when a Python pass looks at such an operation, and they
    import numpy (0.2 s) for one builder that we do not use. Tools that want to start quickly call
    this first; it takes 0.06 s.
    """
    if "numpy" in sys.modules:
        return
    sys.modules["numpy"] = _DeferredNumpy("numpy")
    try:
        import torch_mlir.dialects.linalg  # noqa: F401
    finally:
        del sys.modules["numpy"]


def load_irdl(module: ir.Operation) -> None:
    """Loads the dialects that a module of ``irdl.dialect`` operations defines."""
    from torch_mlir.dialects import irdl

    irdl.load_dialects(ir.Module.parse(str(module), context=module.context))


def register_torch_dialect(context: ir.Context) -> None:
    """Makes the ``torch`` dialect known to `context` (needed to parse or build torch-level IR)."""
    from torch_mlir.dialects import torch as torch_dialect

    torch_dialect.register_dialect(context)


def fx_importer() -> Any:
    """Returns torch-mlir's ``FxImporter`` class. Imports torch."""
    from torch_mlir.extras.fx_importer import FxImporter

    return FxImporter


def torch_decompositions() -> dict[Any, Any]:
    """Returns torch-mlir's default decomposition table for ``make_fx``. Imports torch."""
    from torch_mlir.extras.fx_decomp_util import get_decomposition_table

    return dict(get_decomposition_table())


def execution_engine() -> Any:
    """Returns MLIR's ``ExecutionEngine`` class (LLVM JIT)."""
    from torch_mlir.execution_engine import ExecutionEngine

    return ExecutionEngine


def linalg_indexing_maps(op: ir.Operation) -> Any:
    """Returns the ``ArrayAttr`` of indexing maps of a structured linalg operation, else None.

    Named operations (``linalg.transpose``) have maps too, though no such attribute.
    """
    from torch_mlir._mlir_libs import _mlirDialectsLinalg

    return _mlirDialectsLinalg.get_indexing_maps(op)
