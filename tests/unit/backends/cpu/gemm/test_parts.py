"""Kernels cut products among threads: the parts cover C once, and change no bit."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from matrices import NUMPY, bound, with_threads

from ssft.compiler.backends.cpu.gemm import emitted, standalone
from ssft.compiler.backends.cpu.gemm.form import Axis, Product
from ssft.compiler.backends.cpu.gemm.isa import AVX2, AVX512, select

M, N, K = 130, 150, 40


def matrix(dtype: str, accumulate: bool = False, outer: tuple[Axis, ...] = ()) -> Product:
    return Product(dtype, Axis(M, K, 0, N), Axis(N, 0, 1, 1), Axis(K, 1, N), outer, accumulate)


# Name: the product, and what it computes as an einsum of arrays of these shapes.
PRODUCTS = {
    "one matrix": (matrix("f32"), "mk,kn->mn", {}),
    "added to": (matrix("f32", accumulate=True), "mk,kn->mn", {}),
    "double": (matrix("f64"), "mk,kn->mn", {}),
    "batch": (
        matrix("f32", outer=(Axis(8, M * K, K * N, M * N),)),
        "bmk,bkn->bmn",
        {"b": 8},
    ),
    "two loops": (
        matrix("f32", outer=(Axis(2, 3 * M * K, 0, 3 * M * N), Axis(3, M * K, K * N, M * N))),
        "bhmk,hkn->bhmn",
        {"b": 2, "h": 3},
    ),
    "summed loop": (matrix("f32", outer=(Axis(3, M * K, K * N, 0),)), "bmk,bkn->mn", {"b": 3}),
    "batch of sums": (
        matrix("f32", outer=(Axis(5, 2 * M * K, 0, M * N), Axis(2, M * K, K * N, 0))),
        "bhmk,hkn->bmn",
        {"b": 5, "h": 2},
    ),
    "columns of C contiguous": (
        Product("f32", Axis(M, K, 0, 1), Axis(N, 0, 1, M), Axis(K, 1, N), (), False),
        "mk,kn->nm",
        {},
    ),
}
THREADS = (1, 2, 3, 4, 6)


def check_parts(name: str) -> dict[str, Any]:
    product, equation, sizes = PRODUCTS[name]
    isa = select("auto")
    assert isa is not None
    old_limit, emitted.SHARED = emitted.SHARED, 1  # threads share these small products, too
    try:
        kernels = [
            emitted.emit(f"p{t}", product, standalone.operand_types(product.types), isa, t)
            for t in THREADS
        ]
    finally:
        emitted.SHARED = old_limit
    found = [kernel for kernel in kernels if kernel is not None]
    code = standalone.Kernels(found)
    letters = {"m": M, "n": N, "k": K, **sizes}
    left, right, result = (
        [letters[x] for x in part] for part in equation.replace("->", ",").split(",")
    )
    random = np.random.default_rng(0)
    real = NUMPY[product.dtype]
    a, b, start = (random.standard_normal(shape).astype(real) for shape in (left, right, result))
    bits = []
    for kernel in found:
        for running in (1, 2, 3, 8):
            c = start.copy()
            run = code.bind(kernel.name, [x.ctypes.data for x in (a, b, c)])
            with_threads(running, run)
            bits.append(c)
    wanted = np.einsum(equation, a.astype(np.float64), b) + start * product.accumulate
    size = float(
        bound(np.abs(a).reshape(1, -1)[:, :K] * 0 + 9, np.full((K, 1), 9.0), 9, "f32")[0, 0]
    )
    return {
        "alike": len({c.tobytes() for c in bits}),
        "error": float(np.abs(bits[0] - wanted).max()),
        "bound": size,
        "extents": [kernel.extent for kernel in found],
    }


@pytest.mark.parametrize("name", PRODUCTS)
def test_parts_cover_the_product(isolated: Callable[..., Any], name: str) -> None:
    if select("auto") is None:
        pytest.skip("no code is emitted for this host")
    found = isolated("check_parts", name)
    assert found["alike"] == 1
    assert found["error"] < found["bound"]
    assert found["extents"] == [0, 2, 3, 4, 6]


def test_larger_dimension_is_cut() -> None:
    wide = Product("f32", Axis(64, 9, 0, 9), Axis(9000, 0, 1, 1), Axis(9, 1, 9), (), False)
    tall = Product("f32", Axis(9000, 9, 0, 9), Axis(64, 0, 1, 1), Axis(9, 1, 9), (), False)
    square = Product("f32", Axis(4096, 9, 0, 9), Axis(4096, 0, 1, 1), Axis(9, 1, 9), (), False)
    assert emitted.parts(wide, 4, AVX512) == (1, 4)
    assert emitted.parts(tall, 4, AVX512) == (4, 1)
    assert emitted.parts(square, 4, AVX512) == (2, 2)


def test_no_more_parts_than_tiles() -> None:
    small = Product("f32", Axis(8, 9, 0, 16), Axis(32, 0, 1, 1), Axis(9, 1, 9), (), False)
    assert emitted.parts(small, 64, AVX512) == (1, 2)
    assert emitted.parts(small, 1, AVX2) == (1, 1)


@pytest.mark.parametrize(
    "product",
    [
        Product("f16", Axis(64, 64, 0, 64), Axis(64, 0, 1, 1), Axis(64, 1, 64), (), False),
        Product("f32", Axis(2, 2, 0, 2), Axis(2, 0, 1, 1), Axis(2, 1, 2), (), False),
        Product("f32", Axis(1), Axis(1), Axis(9999, 1, 1), (), False),
        Product("f32", Axis(64, 64, 0, 128), Axis(64, 0, 1, 2), Axis(64, 1, 64), (), False),
    ],
    ids=["f16", "tiny", "dot", "no contiguous C"],
)
def test_declined(product: Product) -> None:
    types = standalone.operand_types(product.types)
    assert emitted.emit("p", product, types, AVX512, 1) is None
