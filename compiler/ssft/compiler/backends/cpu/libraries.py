"""Shared libraries that generated code calls: BLAS and OpenMP, both as PyTorch ships them."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ssft.compiler.diagnostics import UserError


@dataclass(frozen=True)
class Libraries:
    """Paths of the library with ``sgemm_``/``dgemm_`` and, if there is one, of ``libgomp``."""

    blas: str
    openmp: str | None


@cache
def find_libraries() -> Libraries:
    """Finds PyTorch's libraries without importing torch.

    Using the very BLAS and OpenMP runtime that PyTorch uses keeps one thread pool in the process.
    """
    spec = importlib.util.find_spec("torch")
    folder = Path(spec.origin).parent / "lib" if spec and spec.origin else None
    blas = folder / "libtorch_cpu.so" if folder else None
    if folder is None or blas is None or not blas.exists():
        raise UserError(
            "no BLAS for the CPU backend: PyTorch's library 'libtorch_cpu.so' was not found",
            notes=["install torch, or compile with CpuOptions(gemm='loops')"],
        )
    openmp = sorted(folder.glob("libgomp*.so*")) + sorted(
        (folder.parent.parent / "torch.libs").glob("libgomp*.so*")
    )
    return Libraries(str(blas), str(openmp[0]) if openmp else None)
