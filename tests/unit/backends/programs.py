"""Small steps as text, and running them on NumPy arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ssft.compiler.backends.cpu import CpuOptions, CpuProgram, compile_step

NUMPY = {"f32": np.float32, "f64": np.float64, "bf16": np.uint16, "i64": np.int64, "i1": np.bool_}


def argument(name: str, type_: str, role: str = "input", extra: str = "") -> str:
    return f'%{name}: {type_} {{ssft.role = "{role}", ssft.name = "{name}"{extra}}}'


def step(arguments: Sequence[str], results: Sequence[str], body: str) -> str:
    """A plan; `results` are pairs of type and attributes as text, `body` ends in a return."""
    return (
        f"module {{\nfunc.func @step({', '.join(arguments)}) -> ({', '.join(results)}) {{\n"
        f"{body}\n}}\n}}"
    )


def metric(type_: str) -> str:
    return f'{type_} {{ssft.role = "metric", ssft.name = "value"}}'


def run(
    text: str, arrays: Sequence[np.ndarray], options: CpuOptions | None = None
) -> tuple[CpuProgram, list[np.ndarray]]:
    """Compiles and runs a step once; returns the program and its outputs."""
    program = compile_step(text, options)
    outputs = [np.zeros(r.shape, NUMPY[r.dtype]) for r in program.outputs]
    program.run([a.ctypes.data for a in [*arrays, *outputs]])
    return program, outputs
