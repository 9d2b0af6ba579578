"""Runs ``@step`` through MLIR's stock lowering and JIT: a child process of the tests.

``python native_step.py MODULE.mlir ARGUMENTS.npz RESULTS.npz STEPS`` calls the step STEPS times,
feeding updates back, and saves the losses and the final values of all arguments. A fault in native
code ends this process only.
"""

from __future__ import annotations

import ctypes
import re
import sys

import numpy as np

from ssft.compiler.pipelines.run import run_pipeline
from ssft.compiler.plan_schema import StepSignature, read_signature
from ssft.dialects import new_context
from ssft.dialects._mlir import execution_engine, ir

BUFFERIZE = """builtin.module(convert-ssft-to-linalg,canonicalize,cse,
one-shot-bufferize{bufferize-function-boundaries=1
 function-boundary-type-conversion=identity-layout-map},
canonicalize,cse,canonicalize,
buffer-results-to-out-params{hoist-static-allocs=0 modify-public-functions=1})"""
TO_LLVM = """builtin.module(buffer-deallocation-pipeline,func.func(convert-linalg-to-loops),
expand-strided-metadata,lower-affine,convert-scf-to-cf,math-expand-ops{ops=fpowi},
convert-math-to-llvm,convert-math-to-libm,convert-bufferization-to-memref,expand-strided-metadata,
finalize-memref-to-llvm,convert-arith-to-llvm,convert-func-to-llvm,convert-cf-to-llvm,
convert-index-to-llvm,reconcile-unrealized-casts)"""
# memref.copy of a strided view calls a library that the wheel does not have.
COPY = re.compile(r"memref\.copy (%[\w#]+), (%[\w#]+) : (memref<.*?>>?) to (memref<.*>)")


def compile_step(text: str) -> object:
    """Returns an execution engine for the module in `text`."""
    with new_context(), ir.Location.unknown():
        module = ir.Module.parse(text)
        run_pipeline(module, BUFFERIZE)
        copied = COPY.sub(r"linalg.copy ins(\1 : \3) outs(\2 : \4)", str(module))
        module = ir.Module.parse(copied)
        for op in module.body.operations:
            if op.operation.name == "func.func" and op.attributes["sym_name"].value == "step":
                op.attributes["llvm.emit_c_interface"] = ir.UnitAttr.get()
        run_pipeline(module, TO_LLVM)
        return execution_engine()(module, opt_level=0)


def descriptor(array: np.ndarray) -> ctypes.Structure:
    rank = array.ndim
    fields = [("sizes", ctypes.c_int64 * rank), ("strides", ctypes.c_int64 * rank)] if rank else []
    head = [("base", ctypes.c_void_p), ("data", ctypes.c_void_p), ("offset", ctypes.c_int64)]
    kind = type("Descriptor", (ctypes.Structure,), {"_fields_": head + fields})
    strides = [stride // array.itemsize for stride in array.strides]
    values = [(ctypes.c_int64 * rank)(*v) for v in (array.shape, strides)] if rank else []
    return kind(array.ctypes.data, array.ctypes.data, 0, *values)


def call(address: int, arrays: list[np.ndarray]) -> None:
    descriptors = [descriptor(array) for array in arrays]
    pointers = [ctypes.c_void_p(ctypes.addressof(d)) for d in descriptors]
    table = (ctypes.c_void_p * len(pointers))(*[ctypes.addressof(p) for p in pointers])
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)(ctypes.cast(table, ctypes.c_void_p))


def main(module_file: str, arguments_file: str, results_file: str, steps: int) -> None:
    with open(module_file) as file:
        text = file.read()
    with new_context(), ir.Location.unknown():
        signature: StepSignature = read_signature(ir.Module.parse(text))
    stored = np.load(arguments_file)
    arguments = [
        np.ascontiguousarray(stored[str(a.index)]).reshape(a.shape) for a in signature.arguments
    ]
    engine = compile_step(text)
    address = engine.raw_lookup("_mlir_ciface_step")
    losses = []
    for _ in range(steps):
        types = {"f32": "f4", "f64": "f8", "i64": "i8"}
        results = [np.zeros(r.shape, types[r.dtype]) for r in signature.results]
        call(address, [*arguments, *results])
        losses.append(float(results[0]))
        for info, value in zip(signature.results, results, strict=True):
            if info.updates_arg is not None:
                arguments[info.updates_arg] = value
    np.savez(results_file, losses=losses, **{str(i): v for i, v in enumerate(arguments)})


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]))
