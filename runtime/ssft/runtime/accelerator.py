"""The functional model of the accelerator as a device of a session."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from ssft.compiler.backends.hw import Precision, compile_program
from ssft.compiler.backends.interpreter.formats import load, store, stored_type
from ssft.compiler.diagnostics import UserError
from ssft.compiler.plan_schema import ArgumentInfo, ResultInfo, StepSignature, read_signature
from ssft.dialects import new_context
from ssft.dialects._mlir import ir
from ssft.hwmodel.config import load_machine
from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa import Program
from ssft.hwmodel.machine import FunctionalMachine, Progress

PRECISIONS: tuple[Precision, ...] = ("bf16", "f32")


class AcceleratorProgram:
    """A step that runs on the functional machine, command by command.

    The caller's memory stays the truth between steps: arguments are copied into the machine's DRAM
    before a step, and what the step updates is copied back. While a step runs, `on_progress` is
    told the number of commands that are done, and that of all.
    """

    def __init__(self, signature: StepSignature, program: Program, machine: FunctionalMachine):
        self.signature = signature
        self.program = program
        self.machine = machine
        self.on_progress: Progress | None = None

    @property
    def arguments(self) -> tuple[ArgumentInfo, ...]:
        """What the first pointers of `run` point to."""
        return self.signature.arguments

    @property
    def outputs(self) -> tuple[ResultInfo, ...]:
        """What the pointers behind the arguments point to."""
        return tuple(r for r in self.signature.results if r.updates_arg is None)

    def run(self, pointers: Sequence[int]) -> None:
        """Runs one step on the memory at `pointers`: the arguments, then the outputs.

        Raises:
            UserError: the program did something that the machine refuses.
        """
        infos = [*self.arguments, *self.outputs]
        memory = [_array(info, pointer) for info, pointer in zip(infos, pointers, strict=True)]
        count = len(self.arguments)
        try:
            for info, array in zip(self.arguments, memory[:count], strict=True):
                self.machine.write(info.index, load(array, info.dtype))
            for buffer in self.program.dram:
                if buffer.mirror is not None:
                    self.machine.write(buffer.name, memory[buffer.mirror])
            self.machine.run(self.on_progress)
            for info, array in zip(self.outputs, memory[count:], strict=True):
                store(self.machine.result(info.index), info.dtype, array)
            for result in self.signature.results:
                number = result.updates_arg
                if number is not None:
                    store(self.machine.read(number), result.dtype, memory[number])
        except MachineError as error:
            raise UserError(error.message, notes=error.notes) from None


def _array(info: ArgumentInfo | ResultInfo, pointer: int) -> np.ndarray:
    dtype = stored_type(info.dtype)
    if not info.bytes:
        return np.empty(info.shape, dtype)
    buffer = memoryview((ctypes.c_char * info.bytes).from_address(pointer))
    return np.frombuffer(buffer, dtype).reshape(info.shape)


def compile_for_accelerator(device: str, plan_text: str) -> AcceleratorProgram:
    """Compiles a plan for ``ssft-hw:MACHINE`` or ``ssft-hw:MACHINE:f32``.

    MACHINE is the name of a preset or the path of a machine file.
    """
    _, _, rest = device.partition(":")
    name, _, precision = rest.partition(":")
    if not name or precision not in ("", *PRECISIONS):
        raise UserError(
            f"cannot read the device '{device}'",
            notes=["write 'ssft-hw:MACHINE' or 'ssft-hw:MACHINE:f32', e.g. 'ssft-hw:ssft-server'"],
            exit_code=2,
        )
    try:
        config = load_machine(name)
        signature = read_signature(ir.Module.parse(plan_text, new_context()))
        program = compile_program(plan_text, config, "f32" if precision == "f32" else "bf16")
        machine = FunctionalMachine(
            program, spm_bytes=config.scratchpad.bytes, dram_bytes=config.dram.bytes
        )
    except MachineError as error:
        raise UserError(error.message, notes=error.notes) from None
    return AcceleratorProgram(signature, program, machine)
