"""`compile_step`: from a plan to a program for this machine's CPU."""

from __future__ import annotations

from ssft.compiler.backends.cpu import arena
from ssft.compiler.backends.cpu.jit import compile_native, lower_kernels
from ssft.compiler.backends.cpu.libraries import find_libraries
from ssft.compiler.backends.cpu.options import CpuOptions
from ssft.compiler.backends.cpu.pipeline import TENSOR_STAGES
from ssft.compiler.backends.cpu.program import CpuProgram
from ssft.compiler.backends.cpu.scheduler import build_schedule
from ssft.compiler.pipelines.run import run_pipeline
from ssft.compiler.plan_schema import read_signature
from ssft.dialects import new_context
from ssft.dialects._mlir import ir


def compile_step(module: ir.Module | str, options: CpuOptions | None = None) -> CpuProgram:
    """Compiles the step of a plan, given as a module or its text.

    The module is not changed. Raises
    `UserError` for operations that cannot be compiled.
    """
    options = options or CpuOptions()
    text = module if isinstance(module, str) else str(module)
    working = ir.Module.parse(text, new_context())
    signature = read_signature(working)
    run_pipeline(working, TENSOR_STAGES)
    schedule = build_schedule(working, signature, options)
    plan = arena.plan(arena.lifetimes(schedule))
    libraries = find_libraries()
    parallel = options.parallel and libraries.openmp is not None
    kernels = list(schedule.kernels.values())
    lowered = lower_kernels(kernels, working.context, parallel)
    code = compile_native(lowered, kernels, libraries, options.opt_level)
    return CpuProgram(signature, schedule, plan, code)
