"""Machine code from an object file into this process.

LLVM's linker does it by way of llvmlite, whose LLVM is another one than torch-mlir's and keeps its
symbols to itself. The objects are MLIR's: large code model, so calls reach libraries anywhere.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any

from ssft.compiler.backends.cpu.elf import undefined_symbols
from ssft.compiler.backends.cpu.libraries import Libraries
from ssft.compiler.diagnostics import UserError

TABLE = "ssft_table"
"""The function that writes the addresses of all entries, then of the runner, to a table."""

_SYSTEM = (None, "libm.so.6", "libgcc_s.so.1")  # None: what the process has loaded already
_OPENMP = ("GOMP_", "omp_")
_numbers = count()
_lock = threading.Lock()


@dataclass(frozen=True)
class NativeCode:
    """Machine code; `entries` and `run` are addresses, valid as long as `owner` lives."""

    owner: Any
    entries: dict[str, int]
    run: int


def load_code(data: bytes | memoryview, kernels: Sequence[str], libraries: Libraries) -> NativeCode:
    """Loads an object file that holds the entries of `kernels`, in this order.

    Raises a `UserError` if it cannot be linked.
    """
    from llvmlite import binding

    libraries.load_openmp()
    try:
        builder = binding.JITLibraryBuilder().add_object_img(data).export_symbol(TABLE)
        for name in undefined_symbols(data):
            builder.import_symbol(name, _address(name, libraries))
        with _lock:
            owner = builder.link(_linker(), f"ssft{next(_numbers)}")
    except (ValueError, RuntimeError) as error:
        raise UserError(f"the step's machine code cannot be linked: {error}") from None
    table = (ctypes.c_void_p * (len(kernels) + 1))()
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(owner[TABLE])(ctypes.addressof(table))
    entries = {name: table[i] or 0 for i, name in enumerate(kernels)}
    return NativeCode(owner, entries, table[len(kernels)] or 0)


@cache
def _linker() -> Any:
    """One for all programs, which it outlives: code cannot be unloaded by a linker that is gone."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine(jit=True)
    return binding.create_lljit_compiler(machine, use_jit_link=True)


def _address(name: str, libraries: Libraries) -> int:
    """The address of the function `name` in the library that has it."""
    if name.startswith(_OPENMP):
        candidates = (libraries.openmp,)
    else:
        candidates = (*_SYSTEM, libraries.blas) if not name.endswith("gemm_") else (libraries.blas,)
    for path in candidates:
        try:
            function = getattr(_library(path), name)
        except (OSError, AttributeError):
            continue
        return ctypes.cast(function, ctypes.c_void_p).value or 0
    raise ValueError(f"no library here has '{name}'")


@cache
def _library(path: str | None) -> ctypes.CDLL:
    return ctypes.CDLL(path)
