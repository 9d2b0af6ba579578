"""Matrices of any strides inside memory whose other elements must be neither read nor written."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ssft.compiler.backends.cpu.gemm import goto, standalone
from ssft.compiler.backends.cpu.gemm.form import Axis, Product
from ssft.compiler.backends.cpu.gemm.isa import KNOWN, select
from ssft.compiler.backends.cpu.libraries import find_libraries

NUMPY = {"f32": np.float32, "f64": np.float64}
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


def bound(a: np.ndarray, b: np.ndarray, c: np.ndarray, dtype: str) -> np.ndarray:
    """What the error of ``c + a @ b`` may be: k + 2 roundings of what is summed (Higham, 3.5)."""
    epsilon = np.finfo(NUMPY[dtype]).eps
    total = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64) + np.abs(c)
    return (a.shape[1] + 2) * epsilon * total


class Multiplier:
    """Runs cases on one instruction set, in one element type, with code compiled once."""

    def __init__(self, isa: str, dtype: str) -> None:
        self.isa, self.dtype = KNOWN[isa], dtype
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
        memory = {x: np.full(span(*shape) + 64, np.nan, real) for x, shape in shapes.items()}
        views = {x: strided(memory[x], *shape) for x, shape in shapes.items()}
        for view in views.values():
            view[...] = random.standard_normal(view.shape)
        if not case.accumulate:
            views["c"][...] = np.nan  # what is overwritten is not read
        before, old = memory["c"].copy(), views["c"].copy()
        sizes = goto.workspace(self.isa, product, case.blocks)
        space = np.full(sum(sizes) + GUARD + 64, 0x5A, np.uint8)
        start = -(-space.ctypes.data // 64) * 64
        addresses = {x: memory[x].ctypes.data for x in "abc"}
        panels = {"panels_a": start, "panels_b": start + sizes[0]}
        call = {**goto.constants(product, case.blocks), **addresses, **panels}
        self.code.bind([call])()
        used = start - space.ctypes.data + sum(sizes)
        assert (space[used:] == 0x5A).all(), "written behind the workspace"
        old = old if case.accumulate else np.zeros_like(old)
        a, b = (views[x].astype(np.float64) for x in "ab")
        error = np.abs(views["c"] - (a @ b + old))
        assert (error <= bound(a, b, old, self.dtype)).all(), error.max()
        result = views["c"].copy()
        views["c"][...] = strided(before, *shapes["c"])
        assert memory["c"].tobytes() == before.tobytes(), "written outside C"
        return result


def runs(isa: str) -> bool:
    """Whether this host has the instruction set."""
    return select("auto") is not None and KNOWN[isa].flags <= _flags()


def _flags() -> frozenset[str]:
    from ssft.compiler.backends.cpu.gemm.isa import host_flags

    return host_flags()


def with_threads(count: int, action: Callable[[], None]) -> None:
    """Does `action` with `count` OpenMP threads."""
    openmp = find_libraries(blas=False).openmp
    assert openmp is not None
    ctypes.CDLL(openmp).omp_set_num_threads(count)
    action()
