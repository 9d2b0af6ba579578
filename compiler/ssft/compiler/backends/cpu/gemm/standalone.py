"""Products outside any step: run on memory of the caller, for measuring and for tests."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np

from ssft.compiler.backends.cpu.cache import Store
from ssft.compiler.backends.cpu.cache.programs import code_name
from ssft.compiler.backends.cpu.gemm import blas, goto
from ssft.compiler.backends.cpu.gemm.families import family
from ssft.compiler.backends.cpu.gemm.form import Product, Types
from ssft.compiler.backends.cpu.gemm.isa import Isa
from ssft.compiler.backends.cpu.gemm.text import PTR, Text
from ssft.compiler.backends.cpu.jit import compile_object, lower_kernels
from ssft.compiler.backends.cpu.libraries import find_libraries
from ssft.compiler.backends.cpu.loader import load_code
from ssft.compiler.backends.cpu.schedule import Kernel
from ssft.dialects import new_context

ALIGNMENT = 1 << 21
"""Bytes; of workspaces, which are as large as arenas are, and so get huge pages from NumPy."""


class Kernels:
    """Machine code of `kernels`, taken from `store` if it is there.

    With `parallel` they use as many threads as OpenMP has; BLAS always does.
    """

    def __init__(
        self, kernels: Sequence[Kernel], parallel: bool = True, store: Store | None = None
    ) -> None:
        calls_blas = any(name in blas.ROUTINES.values() for k in kernels for name in k.globals)
        libraries = find_libraries(blas=calls_blas)
        parallel = parallel and libraries.openmp is not None
        texts = [str(parallel), *(k.text for k in kernels)]
        texts += [text for k in kernels for text in k.globals.values()]
        name = code_name("\n".join(texts), opt_level=3)
        self.object = store.read(name) if store is not None else None
        if self.object is None:
            lowered = lower_kernels(kernels, new_context(), parallel)
            self.object = compile_object(lowered, libraries, opt_level=3)
            if store is not None:
                store.write(name, [self.object])
        self._code = load_code(self.object, [kernel.name for kernel in kernels], libraries)
        self._kernels = {kernel.name: kernel for kernel in kernels}
        size = max((kernel.workspace for kernel in kernels), default=0)
        self._workspace = np.empty(max(size, 2 * ALIGNMENT) + ALIGNMENT, np.uint8)

    def bind(
        self, name: str, addresses: Sequence[int], extent: int | None = None, repeats: int = 1
    ) -> Callable[[], None]:
        """A function that runs kernel `name` on operands at `addresses`, `repeats` times.

        Over all of its extent, if `extent` is not given.
        """
        kernel = self._kernels[name]
        operands = [*addresses, _aligned(self._workspace)][: kernel.operands]
        cells = np.array(operands, np.uint64)
        extent = kernel.extent if extent is None else extent
        record = np.array(
            [[self._code.entries[name], cells.ctypes.data, extent]] * repeats, np.uint64
        )
        run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(self._code.run)
        address = record.ctypes.data

        def call(_keep: object = (self, cells, record)) -> None:
            run(address, repeats)

        return call


def operand_types(types: Types) -> tuple[str, str, str]:
    """Types for operands of which a provider needs the address only."""
    operand = f"memref<{types.operands}>"
    return operand, operand, f"memref<{types.result}>"


class AnyProduct:
    """The function that multiplies (`goto`), for sizes, strides and blocks given as data.

    One copy of machine code runs every product, without compiling any.
    """

    def __init__(
        self, isa: Isa, types: Types, parallel: bool = True, store: Store | None = None
    ) -> None:
        kernel = Kernel(
            "gemm_any",
            _table_kernel(isa, types),
            operands=1,
            extent=2,
            globals=family(isa).functions(isa, types),
        )
        self._kernels = Kernels([kernel], parallel, store)

    def bind(self, calls: Sequence[Mapping[str, int]], repeats: int = 1) -> Callable[[], None]:
        """A function that does `calls`, each given by the values of all `goto.PARAMETERS`.

        Threads share the calls. All of it happens `repeats` times.
        """
        names = [name for name, _ in goto.PARAMETERS]
        table = np.array([[call[name] for name in names] for call in calls], np.int64)
        run = self._kernels.bind("gemm_any", [table.ctypes.data], len(calls), repeats)

        def call(_keep: object = table) -> None:
            run()

        return call


def _table_kernel(isa: Isa, types: Types) -> str:
    """A kernel that calls the function that multiplies with rows ``lo <= i < hi`` of a table."""
    text = Text()
    index = text("memref.extract_aligned_pointer_as_index %table : memref<i64> -> index")
    number = text(f"arith.index_cast {index} : index to i64")
    table = text(f"llvm.inttoptr {number} : i64 to {PTR}")
    low, high = (text(f"arith.index_cast %{end} : index to i64") for end in ("lo", "hi"))
    with text.loop(low, high) as i:
        row = text.at(table, text.mul(i, 8 * len(goto.PARAMETERS)))
        values = []
        for position, (_, type_) in enumerate(goto.PARAMETERS):
            value = text.load(text.at(row, 8 * position), "i64", 8)
            if type_ == PTR:
                value = text(f"llvm.inttoptr {value} : i64 to {PTR}")
            elif type_ == "i1":
                value = text.compare("ne", value, 0)
            values.append((value, type_))
        text.call(family(isa).name_of(isa, types), values)
    head = "func.func private @gemm_any(%table: memref<i64>, %lo: index, %hi: index) {"
    return "\n".join([head, *text.lines, "return", "}"])


def blas_call(product: Product, a: int, b: int, c: int) -> Callable[[], None] | None:
    """A call of BLAS for the matrices of `product` at these addresses; None if BLAS cannot."""
    found = blas.column_major(product) if blas.takes(product.types) else None
    if found is None:
        return None
    swapped, flags, leading = found
    real = ctypes.c_float if product.dtype == "f32" else ctypes.c_double
    rows, columns = (product.n, product.m) if swapped else (product.m, product.n)
    first, second = (b, a) if swapped else (a, b)
    one, beta = real(1), real(float(product.accumulate))
    sizes = [ctypes.c_int(value) for value in (rows.size, columns.size, product.k.size, *leading)]
    m, n, k, lda, ldb, ldc = map(ctypes.byref, sizes)
    letters = [ctypes.byref(ctypes.c_char(flag.encode())) for flag in flags]
    matrices = [ctypes.c_void_p(address) for address in (first, second, c)]
    routine = getattr(_blas_library(), blas.ROUTINES[product.dtype])
    values = (*letters, m, n, k, ctypes.byref(one), matrices[0], lda, matrices[1], ldb)
    return lambda: routine(*values, ctypes.byref(beta), matrices[2], ldc)


@cache
def _blas_library() -> ctypes.CDLL:
    libraries = find_libraries()
    libraries.load_openmp()
    return ctypes.CDLL(libraries.blas)


def _aligned(memory: np.ndarray) -> int:
    return -(-memory.ctypes.data // ALIGNMENT) * ALIGNMENT
