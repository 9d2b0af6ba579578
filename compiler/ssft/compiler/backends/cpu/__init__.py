"""CPU backend: compiles a plan's step to machine code in this process.

Importing this package is cheap; the compiler is imported with the first use of `compile_step`. A
program from the cache does without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssft.compiler.backends.cpu.compile import account_for, compile_step, lower_to_llvm
    from ssft.compiler.backends.cpu.find import find_step_program
    from ssft.compiler.backends.cpu.options import CpuOptions
    from ssft.compiler.backends.cpu.program import CpuProgram, KernelTime, MemoryUse

_HOMES = {
    "CpuOptions": "options",
    "CpuProgram": "program",
    "KernelTime": "program",
    "MemoryUse": "program",
    "account_for": "compile",
    "compile_step": "compile",
    "find_step_program": "find",
    "lower_to_llvm": "compile",
}

__all__ = [
    "CpuOptions",
    "CpuProgram",
    "KernelTime",
    "MemoryUse",
    "account_for",
    "compile_step",
    "find_step_program",
    "lower_to_llvm",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
