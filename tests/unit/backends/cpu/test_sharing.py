"""Small kernels stay on one thread: starting the others takes longer than they do."""

from __future__ import annotations

import pytest

from ssft.compiler.backends.cpu.gemm import blas
from ssft.compiler.backends.cpu.gemm.form import Axis, Product

TYPES = ("memref<f32>",) * 3


def batched(batch: int, size: int) -> Product:
    """`batch` independent products of square matrices."""
    square = size * size
    return Product(
        "f32",
        Axis(size, a=size, c=size),
        Axis(size, b=1, c=1),
        Axis(size, a=1, b=size),
        (Axis(batch, square, square, square),),
        accumulate=False,
    )


@pytest.mark.parametrize(("batch", "size", "extent"), [(8, 16, 0), (32, 128, 32), (1, 128, 0)])
def test_only_large_batches_are_shared(batch: int, size: int, extent: int):
    kernel = blas.emit("product", batched(batch, size), TYPES)
    assert kernel is not None
    assert kernel.extent == extent
    # A kernel that is not shared is run once with empty bounds: its loop has its own.
    bounds = "= %lo to %hi" if extent else "= %zero to %size0"
    assert bounds in kernel.text
