"""Providers of matrix products, one file each.

A provider turns a `Product` into the text of a kernel function, or declines it by returning None,
in which case the next provider in `PROVIDERS[name]` is asked; the last resort is the loop nest that
``convert-linalg-to-loops`` makes of any contraction.
"""

from __future__ import annotations

from ssft.compiler.backends.cpu.gemm import blas
from ssft.compiler.backends.cpu.gemm.form import Axis, Product, product_of
from ssft.compiler.backends.cpu.schedule import Kernel

__all__ = ["PROVIDERS", "Axis", "Product", "emit", "product_of"]

PROVIDERS = {"blas": (blas.emit,), "loops": ()}


def emit(provider: str, name: str, product: Product, types: tuple[str, ...]) -> Kernel | None:
    """The kernel `name` that computes `product` on operands A, B, C of memref types `types`."""
    for attempt in PROVIDERS[provider]:
        kernel = attempt(name, product, types)
        if kernel is not None:
            return kernel
    return None
