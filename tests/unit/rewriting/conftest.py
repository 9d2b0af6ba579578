"""Steps as text, and running them natively."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.backends.cpu import CpuOptions, compile_step
from ssft.dialects import new_context
from ssft.dialects._mlir import ir

Parse = Callable[[str], ir.Module]


@pytest.fixture
def parse() -> Parse:
    """Parses a module in a context of its own, which lives as long as the test."""
    context = new_context()

    def make(text: str) -> ir.Module:
        with context, ir.Location.unknown():
            return ir.Module.parse(text)

    return make


def find_step(module: ir.Module) -> ir.Operation:
    return step_ir.find_step(module.operation)


def named_values(module: ir.Module) -> dict[str, ir.Value]:
    """The results that carry ``test.value = "name"``, by name."""
    return {
        ir.StringAttr(op.attributes["test.value"]).value: op.results[0]
        for op in step_ir.operations(find_step(module))
        if "test.value" in op.attributes
    }


def append_results(module: ir.Module, values: list[ir.Value]) -> None:
    """Makes the step return `values`, as metrics."""
    step = find_step(module)
    terminator = step_ir.terminator(step)
    results = step_ir.result_attributes(step)
    with module.context, ir.Location.unknown(), ir.InsertionPoint(terminator):
        ir.Operation.create("func.return", operands=[*terminator.operands, *values])
        metric = {"ssft.role": ir.StringAttr.get("metric")}
        terminator.erase()
        step_ir.set_signature(
            step, step_ir.argument_attributes(step), [*results, *(metric for _ in values)]
        )


def run(module: ir.Module, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Runs the step once; returns its results that update no argument."""
    program = compile_step(str(module), CpuOptions(parallel=False))
    arguments = [np.asarray(inputs[a.name], order="C") for a in program.arguments]
    for argument, array in zip(program.arguments, arguments, strict=True):
        assert array.shape == argument.shape, argument
    outputs = [np.empty(result.shape) for result in program.outputs]
    program.run([array.ctypes.data for array in (*arguments, *outputs)])
    return outputs
