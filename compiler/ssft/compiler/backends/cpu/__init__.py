"""CPU backend: compiles a plan's step to machine code in this process."""

from ssft.compiler.backends.cpu.compile import (
    compile_step,
    find_step_program,
    lower_to_llvm,
)
from ssft.compiler.backends.cpu.options import CpuOptions
from ssft.compiler.backends.cpu.program import CpuProgram, KernelTime, MemoryUse

__all__ = [
    "CpuOptions",
    "CpuProgram",
    "KernelTime",
    "MemoryUse",
    "compile_step",
    "find_step_program",
    "lower_to_llvm",
]
