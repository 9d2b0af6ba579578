"""Compiled steps and machine code in the cache.

Two levels. A *program* is found by the text of its plan: with it, a step starts without parsing
any MLIR. *Machine code* is found by the text of the lowered kernels, which is all that LLVM saw:
plans that differ in names, file hashes or line numbers share it. A program names its machine code;
if that is gone, the program is of no use and is made again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ssft.compiler.backends.cpu.arena import ArenaPlan
from ssft.compiler.backends.cpu.cache import keys, records
from ssft.compiler.backends.cpu.cache.store import Store
from ssft.compiler.backends.cpu.libraries import Libraries
from ssft.compiler.backends.cpu.options import CpuOptions
from ssft.compiler.backends.cpu.schedule import Schedule
from ssft.compiler.plan_schema import StepSignature

VERSION = "1"
"""Grows when entries are to be forgotten although no code of ours has changed."""


@dataclass(frozen=True)
class StoredProgram:
    """A compiled step as data; `code` is the name of the entry with its machine code."""

    signature: StepSignature
    schedule: Schedule
    plan: ArenaPlan
    code: str


def program_name(text: str, options: CpuOptions, libraries: Libraries, only_loss: bool) -> str:
    """The entry for the plan `text`, or only its loss."""
    chosen = {key: value for key, value in asdict(options).items() if key != "cache"}
    available = (bool(libraries.blas), bool(libraries.openmp), keys.processors())
    about = (repr(sorted(chosen.items())), repr(available), repr(only_loss), text)
    return "program-" + keys.digest(VERSION, keys.sources(), keys.toolchain(), keys.host(), *about)


def code_name(kernels: str, opt_level: int) -> str:
    """The entry for the machine code of `kernels`, a lowered module as text."""
    return "code-" + keys.digest(VERSION, keys.toolchain(), keys.host(), str(opt_level), kernels)


def read_program(store: Store, name: str) -> tuple[StoredProgram, memoryview] | None:
    """A program and its machine code; None if either is missing."""
    data = store.read(name)
    try:
        program = records.load(StoredProgram, data) if data is not None else None
    except ValueError:
        return None
    code = store.read(program.code) if program is not None else None
    return (program, code) if program is not None and code is not None else None


def write_program(store: Store, name: str, program: StoredProgram) -> None:
    """Stores a program."""
    store.write(name, records.dump(program))
