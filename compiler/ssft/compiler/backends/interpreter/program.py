"""`interpret_step` and the program that it makes."""

from __future__ import annotations

import bisect
import ctypes
import math
from collections.abc import Callable, Sequence
from typing import Any, get_args

import numpy as np
from numpy.lib.array_utils import byte_bounds

from ssft.compiler.analysis.step import find_step
from ssft.compiler.backends.interpreter.formats import Arithmetic, load, store, stored_type
from ssft.compiler.backends.interpreter.translate import Code, Instruction, translate
from ssft.compiler.diagnostics import UserError
from ssft.compiler.outlining import parse_flat
from ssft.compiler.plan_schema import ArgumentInfo, ResultInfo, StepSignature, read_signature
from ssft.dialects._mlir import ir

Observer = Callable[[Instruction, Sequence[Any]], None]
"""Called after every operation with what it computed."""


def interpret_step(
    module: ir.Module | str, arithmetic: Arithmetic = "native"
) -> InterpreterProgram:
    """Makes a program that executes the step of a plan, given as a module or its text.

    Operations are executed exactly as they are written, none is rewritten or fused. With the
    arithmetic ``native`` sums are in whatever order NumPy adds; with ``bf16`` and ``f32``, they are
    in the order in which the accelerator adds (`ssft.hwmodel.isa`), every operation rounds once to
    its type, and ``bf16`` rounds the factors of contractions.

    The module is not changed. Raises `UserError` for operations that cannot be executed.
    """
    if arithmetic not in get_args(Arithmetic):
        raise UserError(
            f"unknown arithmetic '{arithmetic}'",
            notes=[f"known are {', '.join(get_args(Arithmetic))}"],
        )
    text = module if isinstance(module, str) else module.operation.get_asm(enable_debug_info=True)
    parsed = parse_flat(text)
    signature = read_signature(parsed)
    return InterpreterProgram(signature, translate(find_step(parsed.operation), arithmetic))


class InterpreterProgram:
    """One training step, executed by NumPy; to run it as a device, see `runtime.executor`.

    `arguments` describe what `run` expects, in order; `outputs` are the results that update no
    argument, whose memory the caller passes behind the arguments.
    """

    def __init__(self, signature: StepSignature, code: Code) -> None:
        self.signature = signature
        self._code = code

    @property
    def arguments(self) -> tuple[ArgumentInfo, ...]:
        """What the first pointers of `run` point to."""
        return self.signature.arguments

    @property
    def outputs(self) -> tuple[ResultInfo, ...]:
        """What the pointers behind the arguments point to."""
        return tuple(r for r in self.signature.results if r.updates_arg is None)

    def evaluate(
        self, arrays: Sequence[np.ndarray], observe: Observer | None = None
    ) -> list[np.ndarray]:
        """Computes all results of the step, in order, and changes nothing.

        Arguments and results are arrays of the types that `signature` says, except for ``bf16``,
        which is in float32 arrays on both sides. Results may share memory with arguments.
        """
        code = self._code
        values: dict[int, Any] = dict(enumerate(arrays)) | code.constants
        with np.errstate(all="ignore"):
            for step in code.instructions:
                computed = step.function(*(values[n] for n in step.operands))
                values.update(zip(step.results, computed, strict=True))
                if observe is not None:
                    observe(step, computed)
                for number in step.last:
                    del values[number]
        return [np.asarray(values[number]) for number in code.results]

    def run(self, pointers: Sequence[int]) -> None:
        """Runs one step on the memory at `pointers`: the arguments, then the outputs.

        All are addresses of row-major arrays without gaps, of the shapes and types that
        `arguments` and `outputs` say. The memory must not overlap.
        """
        infos = [*self.arguments, *self.outputs]
        if len(pointers) != len(infos):
            raise ValueError(f"the step takes {len(infos)} pointers, not {len(pointers)}")
        memory = [_memory(info, pointer) for info, pointer in zip(infos, pointers, strict=True)]
        count = len(self.arguments)
        arguments = [
            load(array, info.dtype)
            for info, array in zip(self.arguments, memory[:count], strict=True)
        ]
        outputs = iter(memory[count:])
        targets = [
            next(outputs) if result.updates_arg is None else memory[result.updates_arg]
            for result in self.signature.results
        ]
        # A result may be a view of an argument that another result overwrites.
        taken = sorted(byte_bounds(array) for array in memory if array.size)
        results = [
            np.array(array) if _overlaps(array, taken) else array
            for array in self.evaluate(arguments)
        ]
        for info, array, target in zip(self.signature.results, results, targets, strict=True):
            store(array, info.dtype, target)


def _memory(info: ArgumentInfo | ResultInfo, pointer: int) -> np.ndarray:
    if not info.bytes:
        return np.empty(info.shape, stored_type(info.dtype))
    memory = np.ctypeslib.as_array((ctypes.c_uint8 * info.bytes).from_address(pointer))
    return memory.view(stored_type(info.dtype)).reshape(info.shape)


def _overlaps(array: np.ndarray, taken: Sequence[tuple[int, int]]) -> bool:
    """Whether `array` is a view of memory in one of the intervals `taken`, sorted and disjoint."""
    low, _ = byte_bounds(array)
    number = bisect.bisect_right(taken, (low, math.inf)) - 1
    return number >= 0 and taken[number][1] > low
