"""Programs as MLIR of the ``ssft_hw`` dialect, and back."""

from ssft.compiler.backends.hw.dialect.program import from_mlir, to_mlir

__all__ = ["from_mlir", "to_mlir"]
