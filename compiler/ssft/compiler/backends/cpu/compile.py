"""`compile_step`: from a plan to a program for this machine's CPU."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from ssft.compiler.backends.cpu import arena
from ssft.compiler.backends.cpu.cache import Store, open_store
from ssft.compiler.backends.cpu.cache.programs import (
    StoredProgram,
    code_name,
    program_name,
    write_program,
)
from ssft.compiler.backends.cpu.find import find_step_program
from ssft.compiler.backends.cpu.gemm.isa import Isa, select
from ssft.compiler.backends.cpu.jit import compile_object, lower_kernels
from ssft.compiler.backends.cpu.libraries import Libraries, find_libraries
from ssft.compiler.backends.cpu.loader import NativeCode, load_code
from ssft.compiler.backends.cpu.options import CpuOptions
from ssft.compiler.backends.cpu.pipeline import tensor_stages
from ssft.compiler.backends.cpu.program import CpuProgram, MemoryUse
from ssft.compiler.backends.cpu.schedule import Schedule
from ssft.compiler.backends.cpu.scheduler import build_schedule
from ssft.compiler.backends.loss_only import loss_only
from ssft.compiler.diagnostics import UserError
from ssft.compiler.outlining import parse_flat
from ssft.compiler.pipelines.run import run_pipeline, verify_each_pass
from ssft.compiler.plan_schema import StepSignature, read_signature
from ssft.dialects._mlir import ir


def compile_step(
    module: ir.Module | str, options: CpuOptions | None = None, *, only_loss: bool = False
) -> CpuProgram:
    """Compiles the step of a plan, given as a module or its text, or finds it in the cache.

    The module is not changed. With `only_loss` the program computes the loss and changes no
    argument. Raises `UserError` for operations that cannot be compiled.
    """
    options = options or CpuOptions()
    text = module if isinstance(module, str) else str(module)
    return find_step_program(text, options, only_loss=only_loss) or _compile(
        text, options, only_loss
    )


def account_for(module: ir.Module | str, options: CpuOptions | None = None) -> MemoryUse:
    """The memory of a step that `compile_step` would compile; takes no compilation of kernels."""
    text = module if isinstance(module, str) else str(module)
    _, signature, schedule = _schedule(text, options or CpuOptions())
    return MemoryUse.of(signature, schedule, arena.plan(arena.lifetimes(schedule)))


def lower_to_llvm(module: ir.Module | str, options: CpuOptions | None = None) -> str:
    """The text of the LLVM-dialect module that holds a plan's kernels and their entry points."""
    options = options or CpuOptions()
    text = module if isinstance(module, str) else str(module)
    working, _, schedule = _schedule(text, options)
    kernels = list(schedule.kernels.values())
    return str(lower_kernels(kernels, working.context, options.parallel, _forced(options)))


def _compile(text: str, options: CpuOptions, only_loss: bool) -> CpuProgram:
    """Compiles a step and puts it into the cache, if there is one."""
    store = open_store() if options.cache else None
    libraries = find_libraries(blas=options.calls_blas)
    step = loss_only(text) if only_loss else text
    working, signature, schedule = _schedule(step, options)
    plan = arena.plan(arena.lifetimes(schedule))
    kernels = list(schedule.kernels.values())
    parallel = options.parallel and libraries.openmp is not None
    lowered = lower_kernels(kernels, working.context, parallel, _forced(options))
    name, code = _machine_code(lowered, list(schedule.kernels), libraries, options, store)
    if store is not None:
        entry = program_name(text, options, libraries, only_loss)
        write_program(store, entry, StoredProgram(signature, schedule, plan, name))
    return CpuProgram(signature, schedule, plan, code)


def _forced(options: CpuOptions) -> Isa | None:
    """The instruction set that all code is to be restricted to, if one was asked for."""
    return None if options.isa == "auto" else select(options.isa)


def _machine_code(
    lowered: ir.Module,
    kernels: Sequence[str],
    libraries: Libraries,
    options: CpuOptions,
    store: Store | None,
) -> tuple[str, NativeCode]:
    """The machine code of lowered kernels, and the name of its entry in the cache."""
    name = code_name(str(lowered), options.opt_level) if store is not None else ""
    found = store.read(name) if store is not None else None
    if found is not None:
        with suppress(UserError):
            return name, load_code(found, kernels, libraries)
    data = compile_object(lowered, libraries, options.opt_level)
    code = load_code(data, kernels, libraries)
    if store is not None:
        store.write(name, [data])
    return name, code


def _schedule(text: str, options: CpuOptions) -> tuple[ir.Module, StepSignature, Schedule]:
    working = parse_flat(text)
    signature = read_signature(working)
    stages = tensor_stages(options.blocks_products)
    run_pipeline(working, stages, verify_each=verify_each_pass(), verify_end=True)
    return working, signature, build_schedule(working, signature, options)
