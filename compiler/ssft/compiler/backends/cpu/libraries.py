"""Shared libraries that generated code calls: BLAS and OpenMP, both as PyTorch ships them."""

from __future__ import annotations

import ctypes
import importlib.util
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ssft.compiler.diagnostics import UserError

SPINS = "10000"
"""Turns of a loop for which an idle thread waits for work before it sleeps.

GNU OpenMP's own choice is 300000, some milliseconds. Where cores are shared, threads that wait for
so long take the time of those that they wait for.
"""
_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


@dataclass(frozen=True)
class Libraries:
    """Paths of the library with ``sgemm_`` and ``dgemm_``, and of ``libgomp``, where there are."""

    blas: str | None
    openmp: str | None

    @property
    def paths(self) -> list[str]:
        """What generated code is linked with."""
        return [path for path in (self.blas, self.openmp) if path]

    def load_openmp(self) -> None:
        """Loads OpenMP, if nothing has yet; do so before what depends on it is loaded.

        It reads when its threads are to sleep from the environment, once, as it is loaded: after
        ``import torch`` it is too late to tell it. What the user has set stays.
        """
        if self.openmp:
            _load_openmp(self.openmp)


@cache
def _load_openmp(path: str) -> None:
    if any(name in os.environ for name in _WAITING):
        ctypes.CDLL(path)
        return
    os.environ["GOMP_SPINCOUNT"] = SPINS
    try:
        ctypes.CDLL(path)
    finally:
        del os.environ["GOMP_SPINCOUNT"]  # other processes are none of our business


@cache
def find_libraries(blas: bool = True) -> Libraries:
    """Finds PyTorch's libraries without importing torch.

    Using the very BLAS and OpenMP runtime that PyTorch uses keeps one thread pool in the process.
    Raises `UserError` if `blas` is needed and there is none.
    """
    spec = importlib.util.find_spec("torch")
    package = Path(spec.origin).parent if spec and spec.origin else None
    library = package / "lib" / "libtorch_cpu.so" if package else None
    found = library if library and library.exists() else None
    if blas and found is None:
        raise UserError(
            "no BLAS for the CPU backend: PyTorch's library 'libtorch_cpu.so' was not found",
            notes=["install torch, or compile with CpuOptions(gemm='loops')"],
        )
    folders = [package / "lib", package.parent / "torch.libs"] if package else []
    openmp = [path for folder in folders for path in sorted(folder.glob("libgomp*.so*"))]
    return Libraries(
        str(found) if blas else None,
        str(openmp[0]) if openmp else None,
    )
