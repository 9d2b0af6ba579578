"""From kernels as MLIR text to machine code, as an object file."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssft.compiler.backends.cpu.gemm.isa import Isa
from ssft.compiler.backends.cpu.libraries import Libraries
from ssft.compiler.backends.cpu.loader import TABLE
from ssft.compiler.backends.cpu.pipeline import KERNEL_STAGES, tuning
from ssft.compiler.backends.cpu.schedule import Kernel
from ssft.compiler.diagnostics import UserError
from ssft.compiler.pipelines.run import run_pipeline, verify_each_pass
from ssft.dialects._mlir import execution_engine, ir

# A record is {entry, cells, extent}: see `ssft.compiler.backends.cpu.program`.
_SHARE = """
llvm.func @omp_get_thread_num() -> i32
llvm.func @omp_get_num_threads() -> i32
llvm.func @GOMP_parallel(!llvm.ptr, !llvm.ptr, i32, i32)
llvm.func internal @ssft_share(%record: !llvm.ptr) {
  %one = llvm.mlir.constant(1 : i64) : i64
  %thread32 = llvm.call @omp_get_thread_num() : () -> i32
  %threads32 = llvm.call @omp_get_num_threads() : () -> i32
  %thread = llvm.zext %thread32 : i32 to i64
  %threads = llvm.zext %threads32 : i32 to i64
  %next = llvm.add %thread, %one : i64
  %entry = llvm.load %record : !llvm.ptr -> !llvm.ptr
  %cells_at = llvm.getelementptr %record[1] : (!llvm.ptr) -> !llvm.ptr, i64
  %cells = llvm.load %cells_at : !llvm.ptr -> !llvm.ptr
  %extent_at = llvm.getelementptr %record[2] : (!llvm.ptr) -> !llvm.ptr, i64
  %extent = llvm.load %extent_at : !llvm.ptr -> i64
  %lo_n = llvm.mul %thread, %extent : i64
  %hi_n = llvm.mul %next, %extent : i64
  %lo = llvm.udiv %lo_n, %threads : i64
  %hi = llvm.udiv %hi_n, %threads : i64
  llvm.call %entry(%cells, %lo, %hi) : !llvm.ptr, (!llvm.ptr, i64, i64) -> ()
  llvm.return
}
"""

_LOOP = """
llvm.func internal @ssft_run(%records: !llvm.ptr, %count: i64) {
  %zero = llvm.mlir.constant(0 : i64) : i64
  %none = llvm.mlir.constant(0 : i32) : i32
  %one = llvm.mlir.constant(1 : i64) : i64
  llvm.br ^head(%zero : i64)
^head(%i: i64):
  %more = llvm.icmp "ult" %i, %count : i64
  llvm.cond_br %more, ^body, ^exit
^body:
  %three = llvm.mlir.constant(3 : i64) : i64
  %at = llvm.mul %i, %three : i64
  %record = llvm.getelementptr %records[%at] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %entry = llvm.load %record : !llvm.ptr -> !llvm.ptr
  %cells_at = llvm.getelementptr %record[1] : (!llvm.ptr) -> !llvm.ptr, i64
  %cells = llvm.load %cells_at : !llvm.ptr -> !llvm.ptr
  %extent_at = llvm.getelementptr %record[2] : (!llvm.ptr) -> !llvm.ptr, i64
  %extent = llvm.load %extent_at : !llvm.ptr -> i64
  PARALLEL
  llvm.call %entry(%cells, %zero, %extent) : !llvm.ptr, (!llvm.ptr, i64, i64) -> ()
  llvm.br ^next
^next:
  %j = llvm.add %i, %one : i64
  llvm.br ^head(%j : i64)
^exit:
  llvm.return
}
"""

_SPLIT = """%shared = llvm.icmp "ugt" %extent, %one : i64
  llvm.cond_br %shared, ^split, ^whole
^split:
  %share = llvm.mlir.addressof @ssft_share : !llvm.ptr
  llvm.call @GOMP_parallel(%share, %record, %none, %none) : (!llvm.ptr, !llvm.ptr, i32, i32) -> ()
  llvm.br ^next
^whole:"""


def kernel_module(kernels: Sequence[Kernel], context: ir.Context) -> ir.Module:
    """The module of all `kernels`, as functions on memrefs."""
    globals_: dict[str, str] = {}
    for kernel in kernels:
        globals_.update(kernel.globals)
    texts = [*globals_.values(), *(kernel.text for kernel in kernels)]
    module = ir.Module.parse("module {\n" + "\n".join(texts) + "\n}\n", context)
    splits = {kernel.name: kernel.splits for kernel in kernels}
    with context:
        for op in module.body.operations:
            name = _symbol(op)
            if name in splits:
                # Internal: MLIR's JIT makes no wrapper. Not inlined: `noalias` stays on arguments.
                op.attributes["llvm.linkage"] = ir.Attribute.parse("#llvm.linkage<internal>")
                op.attributes["passthrough"] = ir.Attribute.parse('["noinline"]')
                if splits[name]:
                    op.attributes["ssft.splits"] = ir.DenseI64ArrayAttr.get(splits[name])
    return module


def lower_kernels(
    kernels: Sequence[Kernel], context: ir.Context, parallel: bool, isa: Isa | None = None
) -> ir.Module:
    """The kernels in the LLVM dialect, each with an entry that takes ``(cells, lo, hi)``.

    They are for the instruction set `isa`, if one is given, or for all that the host has.
    """
    module = kernel_module(kernels, context)
    run_pipeline(module, KERNEL_STAGES, verify_each=verify_each_pass(), verify_end=True)
    runner = (_SHARE if parallel else "") + _LOOP.replace("PARALLEL", _SPLIT if parallel else "")
    entries = "".join(map(_entry, kernels))
    text = _declarations(kernels) + runner + entries + _table(kernels)
    module = _linked(module, ir.Module.parse(f"module {{\n{text}\n}}", context))
    run_pipeline(module, [tuning(isa)], verify_each=verify_each_pass(), verify_end=True)
    return module


def _declarations(kernels: Sequence[Kernel]) -> str:
    return "".join(
        f"llvm.func @{k.name}({', '.join(['!llvm.ptr'] * k.operands + ['i64', 'i64'])})\n"
        for k in kernels
    )


def _entry(kernel: Kernel) -> str:
    lines = [f"llvm.func internal @{kernel.name}_entry(%cells: !llvm.ptr, %lo: i64, %hi: i64) {{"]
    for i in range(kernel.operands):
        lines += [
            f"%at{i} = llvm.getelementptr %cells[{i}] : (!llvm.ptr) -> !llvm.ptr, i64",
            f"%p{i} = llvm.load %at{i} : !llvm.ptr -> !llvm.ptr",
        ]
    values = ", ".join([f"%p{i}" for i in range(kernel.operands)] + ["%lo", "%hi"])
    types = ", ".join(["!llvm.ptr"] * kernel.operands + ["i64", "i64"])
    lines += [f"llvm.call @{kernel.name}({values}) : ({types}) -> ()", "llvm.return", "}\n"]
    return "\n".join(lines)


def _table(kernels: Sequence[Kernel]) -> str:
    """A function that writes the addresses of all entries, then of the runner, to a table."""
    lines = [f"llvm.func @{TABLE}(%table: !llvm.ptr) {{"]
    for i, name in enumerate([*(f"{kernel.name}_entry" for kernel in kernels), "ssft_run"]):
        lines += [
            f"%f{i} = llvm.mlir.addressof @{name} : !llvm.ptr",
            f"%at{i} = llvm.getelementptr %table[{i}] : (!llvm.ptr) -> !llvm.ptr, i64",
            f"llvm.store %f{i}, %at{i} : !llvm.ptr, !llvm.ptr",
        ]
    return "\n".join([*lines, "llvm.return", "}"])


def _linked(module: ir.Module, glue: ir.Module) -> ir.Module:
    """Moves everything that `glue` defines into `module`."""
    defined = {_symbol(op) for op in module.body.operations}
    for op in list(glue.body.operations):
        if _symbol(op) not in defined:
            module.body.append(op.operation.clone())
    return module


def _symbol(op: Any) -> str:
    return op.operation.attributes["sym_name"].value


def compile_object(module: ir.Module, libraries: Libraries, opt_level: int) -> bytes:
    """Compiles a lowered kernel module with LLVM for this machine; returns the object file.

    Raises a `UserError` if it calls what no library has.
    """
    libraries.load_openmp()
    engine = execution_engine()(module, opt_level=opt_level, shared_libs=libraries.paths)
    if not engine.raw_lookup(TABLE):
        raise UserError(
            "the step's machine code calls functions that no library here has",
            notes=["LLVM names them above; other element types may need none of them"],
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernels.o"
        engine.dump_to_object_file(str(path))
        return path.read_bytes()
