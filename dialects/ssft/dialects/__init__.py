"""Dialects of SSFT: operations, verifiers and NumPy references.

`new_context` makes a context that knows them and all upstream dialects; `ALL_OPERATIONS` lists the
operation classes, for references and documentation.
"""

from __future__ import annotations

from ssft.dialects import ssft, ssft_hw
from ssft.dialects._mlir import ir
from ssft.dialects.ssft import Ssft
from ssft.dialects.ssft_hw import SsftHw

ALL_OPERATIONS = (*ssft.OPERATIONS, *ssft_hw.OPERATIONS)
"""Every operation class of our dialects."""

__all__ = ["ALL_OPERATIONS", "load", "new_context"]


def load(context: ir.Context) -> None:
    """Loads our dialects into `context`; does nothing if they are there already."""
    with context, ir.Location.unknown(context):
        for dialect in (Ssft, SsftHw):
            if not context.is_dialect_loaded(dialect.DIALECT_NAMESPACE):
                dialect.load()


def new_context() -> ir.Context:
    """Returns a context with our dialects and all upstream ones.

    It is single-threaded and must stay so: verifiers written in Python deadlock with MLIR's thread
    pool. A context takes about 10 ms to make.
    """
    context = ir.Context()
    load(context)
    return context
