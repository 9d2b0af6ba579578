"""Providers of matrix products, one file each.

A provider turns a `Product` into the text of a kernel function, or declines it by returning None,
in which case the next provider in `PROVIDERS[name]` is asked; the last resort is the loop nest that
``convert-linalg-to-loops`` makes of any contraction.
"""

from __future__ import annotations

from ssft.compiler.backends.cpu.gemm import blas, emitted, isa
from ssft.compiler.backends.cpu.gemm.form import Axis, Product, product_of
from ssft.compiler.backends.cpu.options import CpuOptions
from ssft.compiler.backends.cpu.schedule import Kernel

__all__ = ["PROVIDERS", "Axis", "Product", "emit", "product_of"]


def _emitted(
    options: CpuOptions, name: str, product: Product, types: tuple[str, ...]
) -> Kernel | None:
    host = isa.select(options.isa)
    threads = isa.host_threads() if options.parallel else 1
    return host and emitted.emit(name, product, types, host, threads)


def _blas(
    options: CpuOptions, name: str, product: Product, types: tuple[str, ...]
) -> Kernel | None:
    return blas.emit(name, product, types)


PROVIDERS = {"emitted": (_emitted, _blas), "blas": (_blas,), "loops": ()}


def emit(options: CpuOptions, name: str, product: Product, types: tuple[str, ...]) -> Kernel | None:
    """The kernel `name` that computes `product` on operands A, B, C of memref types `types`."""
    for attempt in PROVIDERS[options.gemm]:
        kernel = attempt(options, name, product, types)
        if kernel is not None:
            return kernel
    return None
