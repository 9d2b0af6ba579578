"""`find_step_program`: a compiled step from the cache, without loading any of the compiler."""

from __future__ import annotations

from ssft.compiler.backends.cpu.cache import open_store
from ssft.compiler.backends.cpu.cache.programs import program_name, read_program
from ssft.compiler.backends.cpu.libraries import find_libraries
from ssft.compiler.backends.cpu.loader import load_code
from ssft.compiler.backends.cpu.options import CpuOptions
from ssft.compiler.backends.cpu.program import CpuProgram
from ssft.compiler.diagnostics import UserError


def find_step_program(
    text: str, options: CpuOptions | None = None, *, only_loss: bool = False
) -> CpuProgram | None:
    """The program of the plan `text` if the cache has it. No MLIR is parsed."""
    options = options or CpuOptions()
    store = open_store() if options.cache else None
    if store is None:
        return None
    libraries = find_libraries(blas=options.calls_blas)
    found = read_program(store, program_name(text, options, libraries, only_loss))
    if found is None:
        return None
    program, data = found
    try:
        code = load_code(data, list(program.schedule.kernels), libraries)
    except UserError:  # a library has changed: compile again, and say what is missing
        return None
    return CpuProgram(program.signature, program.schedule, program.plan, code)
