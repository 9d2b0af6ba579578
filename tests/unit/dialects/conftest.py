"""Runs a module's function natively, so that a lowering can be compared with a reference."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from ssft.compiler.pipelines.run import run_pipeline
from ssft.dialects import new_context
from ssft.dialects._mlir import execution_engine, ir

TO_LLVM = """builtin.module(convert-ssft-to-linalg,canonicalize,cse,
one-shot-bufferize{bufferize-function-boundaries=1
 function-boundary-type-conversion=identity-layout-map},
canonicalize,cse,canonicalize,buffer-results-to-out-params{modify-public-functions=1},
buffer-deallocation-pipeline,cpu-lower-copies,func.func(convert-linalg-to-loops),expand-strided-metadata,
lower-affine,convert-scf-to-cf,convert-math-to-llvm,convert-math-to-libm,convert-bufferization-to-memref,
expand-strided-metadata,finalize-memref-to-llvm,convert-arith-to-llvm,convert-func-to-llvm,
convert-cf-to-llvm,convert-index-to-llvm,reconcile-unrealized-casts)"""


@pytest.fixture
def context() -> Iterator[ir.Context]:
    with new_context() as context, ir.Location.unknown():
        yield context


def _descriptor(array: np.ndarray) -> ctypes.Structure:
    rank = array.ndim
    sizes = [("sizes", ctypes.c_int64 * rank), ("strides", ctypes.c_int64 * rank)] if rank else []

    class Descriptor(ctypes.Structure):
        _fields_ = [
            ("allocated", ctypes.c_void_p),
            ("aligned", ctypes.c_void_p),
            ("offset", ctypes.c_int64),
            *sizes,
        ]

    shape = array.shape
    strides = [stride // array.itemsize for stride in array.strides]
    extra = [(ctypes.c_int64 * rank)(*shape), (ctypes.c_int64 * rank)(*strides)] if rank else []
    return Descriptor(array.ctypes.data, array.ctypes.data, 0, *extra)


@pytest.fixture
def run_natively(context: ir.Context) -> Callable[..., list[np.ndarray]]:
    """Lowers ``@f`` of `module` and calls it with arrays and Python floats (passed as f64)."""

    def run(module: ir.Module, inputs: list, outputs: list[np.ndarray]) -> list[np.ndarray]:
        function = module.body.operations[0].operation
        function.attributes["llvm.emit_c_interface"] = ir.UnitAttr.get()
        run_pipeline(module, TO_LLVM)
        engine = execution_engine()(module, opt_level=2)
        keep, pointers = [], []
        for value in [*(np.array(x) for x in inputs), *outputs]:
            array = np.ascontiguousarray(value) if value.ndim else value
            native = _descriptor(array) if value.ndim else ctypes.c_double(float(value))
            pointer = ctypes.pointer(native)
            keep += [array, native, pointer]
            pointers.append(ctypes.pointer(pointer) if value.ndim else pointer)
        engine.invoke("f", *pointers)
        return outputs

    return run
