"""Matrices of any strides inside memory whose other elements must be neither read nor written."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ssft.compiler.backends.cpu.gemm import goto, standalone
from ssft.compiler.backends.cpu.gemm.families import family
from ssft.compiler.backends.cpu.gemm.form import Axis, Product, Types
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
    a: np.ndarray,
    b: np.ndarray,
    c: np.ndarray,
    dtype: str,
    unit: int | None = None,
    operands: str = "",
) -> np.ndarray:
    """What the error of ``c + a @ b`` may be: k + 2 roundings of what is summed (Higham, 3.5).

    bf16 results are rounded once more. With `unit` f32 operands are made of so many bf16 numbers:
    one is wrong by 2**-8 at most, two by 2**-16 and the product of the two small parts is left out.
    """
    unit = unit if (operands or dtype) == "f32" else None
    epsilon = np.finfo(NUMPY["f64" if dtype == "f64" else "f32"]).eps
    total = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64) + np.abs(c)
    lost = {None: 0.0, 1: 2 * 2.0**-8, 2: 3 * 2.0**-16}[unit]
    last = 2.0**-8 * np.abs(a @ b + c) if dtype == "bf16" else 0.0
    return ((a.shape[1] * (unit or 1) + 2) * epsilon + 1.01 * lost) * total + 1.01 * last


class Multiplier:
    """Runs cases on one instruction set, with code compiled once.

    C is of element type `dtype`, and so are A and B unless `operands` is given.
    """

    def __init__(self, isa: str, dtype: str, operands: str = "") -> None:
        self.isa, self.types = SETS[isa], Types(operands or dtype, dtype)
        self.code = standalone.AnyProduct(self.isa, self.types, parallel=False)

    def check(self, case: Case) -> np.ndarray:
        """Runs `case`, asserts that all is right, and returns C."""
        given = {"dtype": self.types.result, "operands": self.types.operands}
        product = Product(**{**vars(case.product), **given})
        random = np.random.default_rng(case.seed)
        letters = {x: self.types.result if x == "c" else self.types.operands for x in "abc"}
        shapes = {
            "a": (case.m, case.k, (product.m.a, product.k.a)),
            "b": (case.k, case.n, (product.k.b, product.n.b)),
            "c": (case.m, case.n, (product.m.c, 1)),
        }
        nan = {x: stored(np.array(np.nan), dtype) for x, dtype in letters.items()}
        memory = {
            x: np.full(span(*shape) + 64, nan[x], NUMPY[letters[x]]) for x, shape in shapes.items()
        }
        views = {x: strided(memory[x], *shape) for x, shape in shapes.items()}
        for x, view in views.items():
            view[...] = stored(random.standard_normal(view.shape), letters[x])
        if not case.accumulate:
            views["c"][...] = nan["c"]  # what is overwritten is not read
        before, old = memory["c"].copy(), values(views["c"], letters["c"])
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
        a, b = (values(views[x], letters[x]) for x in "ab")
        error = np.abs(values(views["c"], letters["c"]) - (a @ b + old))
        unit = self.isa.planes if isinstance(self.isa, Amx) else None
        allowed = bound(a, b, old, self.types.result, unit, self.types.operands)
        assert (error <= allowed).all(), error.max()
        result = views["c"].copy()
        views["c"][...] = strided(before, *shapes["c"])
        assert memory["c"].tobytes() == before.tobytes(), "written outside C"
        return result


def stored(values: np.ndarray, dtype: str) -> np.ndarray:
    """Numbers as an array of element type `dtype` holds them."""
    return to_bf16(values) if dtype == "bf16" else values.astype(NUMPY[dtype])


def values(array: np.ndarray, dtype: str) -> np.ndarray:
    """The numbers, in double precision, that an array of element type `dtype` holds."""
    return (from_bf16(array) if dtype == "bf16" else array).astype(np.float64)


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
