"""`compile_step`: from a plan to a program for this machine's CPU."""

from __future__ import annotations

from ssft.compiler.backends.cpu import arena
from ssft.compiler.backends.cpu.jit import compile_native, lower_kernels
from ssft.compiler.backends.cpu.libraries import find_libraries
from ssft.compiler.backends.cpu.options import CpuOptions
from ssft.compiler.backends.cpu.pipeline import TENSOR_STAGES
from ssft.compiler.backends.cpu.program import CpuProgram
from ssft.compiler.backends.cpu.schedule import Schedule
from ssft.compiler.backends.cpu.scheduler import build_schedule
from ssft.compiler.pipelines.run import run_pipeline
from ssft.compiler.plan_schema import StepSignature, read_signature
from ssft.dialects import new_context
from ssft.dialects._mlir import ir


def compile_step(module: ir.Module | str, options: CpuOptions | None = None) -> CpuProgram:
    """Compiles the step of a plan, given as a module or its text.

    The module is not changed. Raises `UserError` for operations that cannot be compiled.
    """
    options = options or CpuOptions()
    working, signature, schedule = _schedule(module, options)
    plan = arena.plan(arena.lifetimes(schedule))
    libraries = find_libraries(blas=options.gemm == "blas")
    parallel = options.parallel and libraries.openmp is not None
    kernels = list(schedule.kernels.values())
    lowered = lower_kernels(kernels, working.context, parallel)
    code = compile_native(lowered, kernels, libraries, options.opt_level)
    return CpuProgram(signature, schedule, plan, code)


def lower_to_llvm(module: ir.Module | str, options: CpuOptions | None = None) -> str:
    """The text of the LLVM-dialect module that holds a plan's kernels and their entry points."""
    options = options or CpuOptions()
    working, _, schedule = _schedule(module, options)
    kernels = list(schedule.kernels.values())
    return str(lower_kernels(kernels, working.context, options.parallel))


def _schedule(
    module: ir.Module | str, options: CpuOptions
) -> tuple[ir.Module, StepSignature, Schedule]:
    text = module if isinstance(module, str) else str(module)
    working = ir.Module.parse(text, new_context())
    signature = read_signature(working)
    run_pipeline(working, TENSOR_STAGES)
    return working, signature, build_schedule(working, signature, options)
