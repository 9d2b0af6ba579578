"""Kernels that threads share give the same bits for every number of threads."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssft.compiler.backends.cpu import CpuOptions, compile_step
from ssft.compiler.backends.cpu.libraries import find_libraries

sys.path.insert(0, str(Path(__file__).parent))

from programs import argument, metric, run, step

N = 256
MATRIX, VECTOR = f"tensor<{N}x{N}xf32>", f"tensor<{N}xf32>"
ROW, COLUMN = "affine_map<(d0, d1) -> (d0, d1)>", "affine_map<(d0, d1) -> (d1, d0)>"


def matrix_program(maps: tuple[str, str], result: str, kinds: str, body: str) -> str:
    """A generic operation on one matrix, whose destination starts from zeros."""
    text = f"""
      %zero = arith.constant 0.0 : f32
      %e = tensor.empty() : {result}
      %z = linalg.fill ins(%zero : f32) outs(%e : {result}) -> {result}
      %r = linalg.generic {{indexing_maps = [{maps[0]}, {maps[1]}], iterator_types = [{kinds}]}}
          ins(%x : {MATRIX}) outs(%z : {result}) {{
      ^bb0(%a: f32, %o: f32):
        {body}
        linalg.yield %v : f32
      }} -> {result}
      return %r : {result}"""
    return step([argument("x", MATRIX)], [metric(result)], text)


PROGRAMS = {
    "element-wise": matrix_program(
        (ROW, ROW), MATRIX, '"parallel", "parallel"', "%v = math.exp %a : f32"
    ),
    # Threads must not fill what others have added to already.
    "transposed sum": matrix_program(
        (ROW, COLUMN), MATRIX, '"parallel", "parallel"', "%v = arith.addf %o, %a : f32"
    ),
    "sum of rows": matrix_program(
        (ROW, "affine_map<(d0, d1) -> (d0)>"),
        VECTOR,
        '"parallel", "reduction"',
        "%v = arith.addf %o, %a : f32",
    ),
    "sum of columns": matrix_program(
        (ROW, "affine_map<(d0, d1) -> (d1)>"),
        VECTOR,
        '"reduction", "parallel"',
        "%v = arith.addf %o, %a : f32",
    ),
    "total": matrix_program(
        (ROW, "affine_map<(d0, d1) -> ()>"),
        "tensor<f32>",
        '"reduction", "reduction"',
        "%v = arith.addf %o, %a : f32",
    ),
}


def check(name: str) -> dict[str, Any]:
    x = np.random.default_rng(0).standard_normal((N, N)).astype(np.float32)
    openmp = find_libraries().openmp
    assert openmp is not None
    threads = ctypes.CDLL(openmp)
    program = compile_step(PROGRAMS[name])
    outputs = [np.zeros(r.shape, np.float32) for r in program.outputs]
    found = []
    for count in (1, 2, 3, 7, 1):
        threads.omp_set_num_threads(count)
        for output in outputs:
            output[...] = np.nan
        program.run([a.ctypes.data for a in [x, *outputs]])
        found.append(outputs[0].tobytes())
    _, (serial,) = run(PROGRAMS[name], [x], CpuOptions(parallel=False))
    wanted = {
        "element-wise": np.exp(x.astype(np.float64)),
        "transposed sum": x.T,
        "sum of rows": x.astype(np.float64).sum(1),
        "sum of columns": x.astype(np.float64).sum(0),
        "total": x.astype(np.float64).sum(),
    }[name]
    return {
        "alike": len(set(found)),
        "serial": serial.tobytes() == found[0],
        "error": float(np.abs(serial - wanted).max() / np.abs(wanted).max()),
        "shared": [program.schedule.kernels[c.kernel].extent for c in program.schedule.calls],
    }


@pytest.mark.parametrize("name", PROGRAMS)
def test_threads_do_not_change_results(isolated: Callable[..., Any], name: str) -> None:
    found = isolated("check", name)
    assert found["alike"] == 1
    assert found["serial"]
    assert found["error"] < 1e-6
    assert found["shared"][0] == N, "the kernel is large enough to be shared"
