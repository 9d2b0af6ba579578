"""Steps on the functional model of the accelerator, and on the interpreter of its arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Literal

import numpy as np

from ssft.compiler.backends.cpu import CpuProgram
from ssft.compiler.backends.hw import Precision, compile_program
from ssft.compiler.backends.interpreter import InterpreterProgram
from ssft.compiler.buffers import storage_type
from ssft.compiler.plan_schema import StepSignature, read_signature
from ssft.dialects import new_context
from ssft.dialects._mlir import ir
from ssft.hwmodel.config import Machine, load_machine
from ssft.hwmodel.machine import FunctionalMachine
from ssft.runtime.accelerator import AcceleratorProgram

Schedule = Literal["round_robin", "random"]


@cache
def machine(preset: str = "ssft-server", scratchpad: int | None = None) -> Machine:
    """A preset, if wanted with another size of the scratchpad in bytes."""
    overrides = [] if scratchpad is None else [f"scratchpad.bytes={scratchpad}"]
    return load_machine(preset, overrides)


def accelerator(
    text: str, config: Machine, precision: Precision = "bf16", schedule: Schedule = "round_robin"
) -> AcceleratorProgram:
    """A plan's step on the functional model of a machine."""
    program = compile_program(text, config, precision)
    signature = read_signature(ir.Module.parse(text, new_context()))
    spm, dram = config.scratchpad.bytes, config.dram.bytes
    model = FunctionalMachine(program, spm_bytes=spm, dram_bytes=dram, schedule=schedule)
    return AcceleratorProgram(signature, program, model)


def in_random_order(program: AcceleratorProgram, seed: int) -> AcceleratorProgram:
    """The same commands on a machine whose queues take turns at random."""
    model = FunctionalMachine(program.program, schedule="random", seed=seed)
    return AcceleratorProgram(program.signature, program.program, model)


def run(
    program: AcceleratorProgram | InterpreterProgram | CpuProgram, arguments: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """All results of one step, also those that update arguments; `arguments` are not changed.

    Asserts that the step changes no argument that it does not update.
    """
    arrays = [np.array(array, order="C") for array in arguments]
    outputs = [np.zeros(info.shape, storage_type(info.dtype)) for info in program.outputs]
    program.run([array.ctypes.data for array in [*arrays, *outputs]])
    results = program.signature.results
    updated = {result.updates_arg for result in results}
    for number, (array, before) in enumerate(zip(arrays, arguments, strict=True)):
        assert number in updated or array.tobytes() == np.ascontiguousarray(before).tobytes()
    others = iter(outputs)
    return [
        next(others) if result.updates_arg is None else arrays[result.updates_arg]
        for result in results
    ]


def advanced(
    signature: StepSignature, arguments: Sequence[np.ndarray], results: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """The arguments of the next step."""
    found = list(arguments)
    for info, result in zip(signature.results, results, strict=True):
        if info.updates_arg is not None:
            found[info.updates_arg] = result
    return found


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays hold the same bits; of not-a-numbers no bits are fixed."""
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    if one.dtype.kind != "f":
        return bool(np.array_equal(one, other))
    left, right = np.ravel(one), np.ravel(other)
    number = ~np.isnan(left)
    same = left[number].tobytes() == right[number].tobytes()
    return same and bool(np.array_equal(number, ~np.isnan(right)))
