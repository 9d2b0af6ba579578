"""Products outside any step: compiled together, run on memory of the caller."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

import numpy as np

from ssft.compiler.backends.cpu.jit import compile_object, lower_kernels
from ssft.compiler.backends.cpu.libraries import find_libraries
from ssft.compiler.backends.cpu.loader import load_code
from ssft.compiler.backends.cpu.schedule import Kernel
from ssft.dialects import new_context

ALIGNMENT = 64


def operand_types(dtype: str) -> tuple[str, str, str]:
    """Types for operands of which a provider needs the address only."""
    return (f"memref<{dtype}>",) * 3


class Products:
    """Machine code of `kernels`, which all take A, B, C and perhaps a workspace.

    With `parallel` they use as many threads as OpenMP has; BLAS always does.
    """

    def __init__(self, kernels: Sequence[Kernel], parallel: bool = True) -> None:
        calls_blas = any("gemm_" in name for kernel in kernels for name in kernel.globals)
        libraries = find_libraries(blas=calls_blas)
        parallel = parallel and libraries.openmp is not None
        lowered = lower_kernels(kernels, new_context(), parallel)
        data = compile_object(lowered, libraries, opt_level=3)
        self.object = data
        self._code = load_code(data, [kernel.name for kernel in kernels], libraries)
        self._kernels = {kernel.name: kernel for kernel in kernels}
        size = max((kernel.workspace for kernel in kernels), default=0)
        self._workspace = np.empty(size + ALIGNMENT, np.uint8)

    def bind(self, name: str, a: int, b: int, c: int) -> Callable[[], None]:
        """A function that runs kernel `name` on the matrices at these addresses."""
        kernel = self._kernels[name]
        workspace = -(-self._workspace.ctypes.data // ALIGNMENT) * ALIGNMENT
        cells = np.array([a, b, c, workspace][: kernel.operands], np.uint64)
        entry = self._code.entries[name]
        record = np.array([entry, cells.ctypes.data, kernel.extent], np.uint64)
        run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(self._code.run)
        address = record.ctypes.data

        def call(_keep: object = (self, cells, record)) -> None:
            run(address, 1)

        return call
