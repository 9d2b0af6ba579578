"""The one module that imports ``torch_mlir``.

Everything else takes MLIR's Python bindings from here, so that a change of the (exactly pinned)
wheel is adapted to in one place. Importing this module must stay cheap: it loads neither torch nor
numpy, which `ssft-opt` relies on to start within 0.3 s. What is expensive is behind a function.
"""

from __future__ import annotations

import sys
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
    "register_torch_dialect",
    "rewrite",
    "torch_decompositions",
]


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
