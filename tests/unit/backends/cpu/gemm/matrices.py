"""Matrices of any strides inside memory whose other elements must be neither read nor written."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ssft.compiler.backends.cpu.gemm import goto, standalone
from ssft.compiler.backends.cpu.gemm.families import family
from ssft.compiler.backends.cpu.gemm.form import Axis, Product
from ssft.compiler.backends.cpu.gemm.isa import AMX, AMX_SPLIT, KNOWN, Amx, host_flags, matrix_unit
from ssft.compiler.backends.cpu.libraries import find_libraries

NUMPY = {"f32": np.float32, "f64": np.float64, "bf16": np.uint16}
SETS = {**KNOWN, AMX.name: AMX, AMX_SPLIT.name: AMX_SPLIT}
GUARD = 4096
"""Bytes behind a workspace."""


@dataclass
class Case:
    """One product: sizes, which dimension of each operand is contiguous, gaps, and blocks."""

    m: int
    n: int
    k: int
    a_by_k: bool
    b_by_n: bool
    gaps: tuple[int, int, int]
    spread: int
    accumulate: bool
    blocks: goto.Blocks
    seed: int

    @property
    def product(self) -> Product:
        """Strides follow from sizes; with `spread` > 1 nothing is contiguous in A and B."""
        s = self.spread
        a = (s * self.k + self.gaps[0], s) if self.a_by_k else (s, s * self.m + self.gaps[0])
        b = (s * self.n + self.gaps[1], s) if self.b_by_n else (s, s * self.k + self.gaps[1])
        m = Axis(self.m, a=a[0], c=self.n + self.gaps[2])
        return Product(
            "f32", m, Axis(self.n, b=b[1], c=1), Axis(self.k, a=a[1], b=b[0]), (), self.accumulate
        )


def strided(memory: np.ndarray, rows: int, columns: int, strides: tuple[int, int]) -> np.ndarray:
    """A matrix in flat `memory`; strides count elements."""
    return np.lib.stride_tricks.as_strided(
        memory, (rows, columns), [s * memory.itemsize for s in strides]
    )


def span(rows: int, columns: int, strides: tuple[int, int]) -> int:
    return (rows - 1) * strides[0] + (columns - 1) * strides[1] + 1


def to_bf16(values: np.ndarray) -> np.ndarray:
    """f32 numbers as the bits of the nearest bf16 numbers, ties to even."""
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bf16(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def bound(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, dtype: str, unit: int | None = None
) -> np.ndarray:
    """What the error of ``c + a @ b`` may be: k + 2 roundings of what is summed (Higham, 3.5).

    bf16 results are rounded once more. With `unit` f32 operands are made of so many bf16 numbers:
    one is wrong by 2**-8 at most, two by 2**-16 and the product of the two small parts is left out.
    """
    epsilon = np.finfo(NUMPY["f64" if dtype == "f64" else "f32"]).eps
    total = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64) + np.abs(c)
    lost = {None: 0.0, 1: 2 * 2.0**-8, 2: 3 * 2.0**-16}[unit if dtype == "f32" else None]
    last = 2.0**-8 * np.abs(a @ b + c) if dtype == "bf16" else 0.0
    return ((a.shape[1] * (unit or 1) + 2) * epsilon + 1.01 * lost) * total + 1.01 * last


class Multiplier:
    """Runs cases on one instruction set, in one element type, with code compiled once."""

    def __init__(self, isa: str, dtype: str) -> None:
        self.isa, self.dtype = SETS[isa], dtype
        self.code = standalone.AnyProduct(self.isa, dtype, parallel=False)

    def check(self, case: Case) -> np.ndarray:
        """Runs `case`, asserts that all is right, and returns C."""
        product = Product(**{**vars(case.product), "dtype": self.dtype})
        random = np.random.default_rng(case.seed)
        real = NUMPY[self.dtype]
        shapes = {
            "a": (case.m, case.k, (product.m.a, product.k.a)),
            "b": (case.k, case.n, (product.k.b, product.n.b)),
            "c": (case.m, case.n, (product.m.c, 1)),
        }
        nan = self._stored(np.array(np.nan))
        memory = {x: np.full(span(*shape) + 64, nan, real) for x, shape in shapes.items()}
        views = {x: strided(memory[x], *shape) for x, shape in shapes.items()}
        for view in views.values():
            view[...] = self._stored(random.standard_normal(view.shape))
        if not case.accumulate:
            views["c"][...] = self._stored(np.array(np.nan))  # what is overwritten is not read
        before, old = memory["c"].copy(), self._values(views["c"])
        sizes = family(self.isa).workspace(self.isa, product, case.blocks)
        space = np.full(sum(sizes) + GUARD + 64, 0x5A, np.uint8)
        start = -(-space.ctypes.data // 64) * 64
        addresses = {x: memory[x].ctypes.data for x in "abc"}
        panels = {"panels_a": start, "panels_b": start + sizes[0]}
        call = {**goto.constants(product, case.blocks), **addresses, **panels}
        self.code.bind([call])()
        used = start - space.ctypes.data + sum(sizes)
        assert (space[used:] == 0x5A).all(), "written behind the workspace"
        old = old if case.accumulate else np.zeros_like(old)
        a, b = (self._values(views[x]) for x in "ab")
        error = np.abs(self._values(views["c"]) - (a @ b + old))
        unit = self.isa.planes if isinstance(self.isa, Amx) else None
        assert (error <= bound(a, b, old, self.dtype, unit)).all(), error.max()
        result = views["c"].copy()
        views["c"][...] = strided(before, *shapes["c"])
        assert memory["c"].tobytes() == before.tobytes(), "written outside C"
        return result

    def _stored(self, values: np.ndarray) -> np.ndarray:
        return to_bf16(values) if self.dtype == "bf16" else values.astype(NUMPY[self.dtype])

    def _values(self, stored: np.ndarray) -> np.ndarray:
        return (from_bf16(stored) if self.dtype == "bf16" else stored).astype(np.float64)


def runs(isa: str) -> bool:
    """Whether this host has the instruction set."""
    found = SETS[isa]
    if isinstance(found, Amx):
        return matrix_unit(found.planes) is not None
    return found.flags <= host_flags()


def with_threads(count: int, action: Callable[[], None]) -> None:
    """Does `action` with `count` OpenMP threads."""
    openmp = find_libraries(blas=False).openmp
    assert openmp is not None
    ctypes.CDLL(openmp).omp_set_num_threads(count)
    action()
