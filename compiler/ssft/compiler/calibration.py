"""Measuring a model on batches, by its own compiled forward and backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ssft.compiler.backends.cpu import CpuProgram, compile_step
from ssft.compiler.backends.interpreter.formats import load
from ssft.compiler.buffers import allocate, batch_arrays
from ssft.compiler.diagnostics import UserError
from ssft.compiler.passes.ssft_measure import MeasurePass
from ssft.compiler.pipelines.run import run_pipeline
from ssft.compiler.plan_schema import StepSignature
from ssft.compiler.recipes.statistics import QUANTITIES, Quantity, Statistics
from ssft.compiler.weights import Array
from ssft.dialects._mlir import ir

Batch = Mapping[str, Any]


def measure(
    module: ir.Module,
    weights: Mapping[str, Array],
    batches: Iterable[Batch],
    steps: int,
    progress: Callable[[str], None] = lambda text: None,
    *,
    sensitivity: bool = False,
) -> Statistics:
    """Runs forward and backward on `steps` batches without updating anything.

    `module` is a step with recognised, dense updates; it is not changed. `sensitivity` measures
    that, too, which takes twice the size of the parameters in f32.

    Raises:
        UserError: there are fewer batches, or one does not fit the step.
    """
    progress("compiling the measuring step")
    measurer = Measurer(measuring_step(module), weights, sensitivity=sensitivity)
    return measurer.measure(batches, steps, progress)


def measuring_step(module: ir.Module) -> str:
    """The step that measures what `module`, a step with recognised, dense updates, trains."""
    with module.context:
        copy = ir.Module.parse(module.operation.get_asm(enable_debug_info=False))
        run_pipeline(copy, [MeasurePass(), "canonicalize,cse"])
        return str(copy)


class Measurer:
    """A measuring step with a model's weights, which are read anew each time.

    Args:
        text: of `measuring_step`.
        weights: as the step stores them; they are used in place where their layout allows it.
        sensitivity: measure that, too.
    """

    def __init__(
        self, text: str, weights: Mapping[str, Array], *, sensitivity: bool = False
    ) -> None:
        self._runner = _Runner(compile_step(text), weights)
        self._weights = weights
        self._sensitivity = sensitivity

    def measure(
        self,
        batches: Iterable[Batch],
        steps: int,
        progress: Callable[[str], None] = lambda text: None,
    ) -> Statistics:
        """Runs forward and backward on `steps` batches; raises `UserError` if there are fewer."""
        found: dict[tuple[Quantity, str], np.ndarray] = {}
        done = 0
        for done, batch in zip(range(1, steps + 1), batches, strict=False):
            progress(f"measuring, batch {done} of {steps}")
            measured = self._runner.run(batch, done)
            _accumulate(found, measured)
            if self._sensitivity:
                for (quantity, name), value in measured.items():
                    if quantity == "gradient":
                        _smooth(found, name, self._weight(name), value)
        if done < steps:
            raise UserError(
                f"there are {done} batches to calibrate with, not {steps}",
                notes=["ask for fewer, or give more data"],
            )
        for name in [name for quantity, name in found if quantity == "gradient"]:
            found["weight", name] = self._weight(name)
        return Statistics(steps, found)

    def _weight(self, name: str) -> np.ndarray:
        array = self._weights[name]
        return np.asarray(load(array.data, array.dtype), np.float32)


SMOOTHING = 0.85
"""Of the moving averages of sensitivity and uncertainty: LoSiA's ``imp_beta1``, ``imp_beta2``."""


def _smooth(
    found: dict[tuple[Quantity, str], np.ndarray],
    name: str,
    weight: np.ndarray,
    gradient: np.ndarray,
) -> None:
    """Takes a batch into the moving averages, which begin with zeros."""
    product = weight * gradient
    change = np.abs(product - 0.5 * np.square(product))
    average = found.setdefault(("sensitivity", name), np.zeros_like(change))
    average += (1 - SMOOTHING) * (change - average)
    spread = found.setdefault(("uncertainty", name), np.zeros_like(change))
    spread += (1 - SMOOTHING) * (np.abs(change - average) - spread)


def _accumulate(
    total: dict[tuple[Quantity, str], np.ndarray], step: Mapping[tuple[Quantity, str], np.ndarray]
) -> None:
    def add(key: tuple[Quantity, str], value: np.ndarray) -> None:
        if key in total:
            total[key] += value
        else:
            total[key] = np.array(value, np.float32)

    for (quantity, name), value in step.items():
        add((quantity, name), value)
        if quantity == "gradient":
            add(("fisher", name), np.square(value, dtype=np.float32))


class _Runner:
    """The measuring step with the model's weights in place."""

    def __init__(self, program: CpuProgram, weights: Mapping[str, Array]) -> None:
        self._program = program
        self._signature: StepSignature = program.signature
        self._arrays = [
            np.asarray(weights[a.name].data, order="C")
            if a.role in ("trainable", "frozen")
            else allocate(a.shape, a.dtype)
            for a in program.arguments
        ]
        self._outputs = [allocate(r.shape, r.dtype) for r in program.outputs]

    def run(self, batch: Batch, number: int) -> dict[tuple[Quantity, str], np.ndarray]:
        """The measurements of a batch; addends of a gradient are added up."""
        inputs = batch_arrays(self._signature.inputs, batch)
        for position, argument in enumerate(self._program.arguments):
            if argument.role == "input":
                self._arrays[position] = inputs[argument.name]
            elif argument.role == "step":
                self._arrays[position][...] = number  # another draw of dropout for each batch
        self._program.run([a.ctypes.data for a in (*self._arrays, *self._outputs)])
        found: dict[tuple[Quantity, str], np.ndarray] = {}
        for result, output in zip(self._program.outputs, self._outputs, strict=True):
            quantity, _, name = (result.name or "").partition("/")
            if quantity in QUANTITIES:
                value = np.asarray(load(output, result.dtype), np.float32)
                key: tuple[Quantity, str] = (quantity, name)  # type: ignore[assignment]
                found[key] = found[key] + value if key in found else value.copy()
        return found
