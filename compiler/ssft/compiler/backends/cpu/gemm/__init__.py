"""Providers of matrix products, one file each.

A provider turns a `Product` into the text of a kernel function, or declines it by returning None,
in which case the next provider in `PROVIDERS[name]` is asked; the last resort is the loop nest that
``convert-linalg-to-loops`` makes of any contraction.
"""

from __future__ import annotations

from ssft.compiler.backends.cpu.cache import open_store
from ssft.compiler.backends.cpu.gemm import blas, emitted, isa
from ssft.compiler.backends.cpu.gemm.form import Axis, Product, product_of
from ssft.compiler.backends.cpu.options import CpuOptions
from ssft.compiler.backends.cpu.schedule import Kernel

__all__ = ["PROVIDERS", "Axis", "Product", "emit", "product_of"]


def _host(options: CpuOptions) -> tuple[isa.Isa | None, int]:
    return isa.select(options.isa), isa.host_threads() if options.parallel else 1


def _emitted(
    options: CpuOptions, name: str, product: Product, types: tuple[str, ...]
) -> Kernel | None:
    host, threads = _host(options)
    return host and emitted.emit(name, product, types, host, threads)


def _blas(
    options: CpuOptions, name: str, product: Product, types: tuple[str, ...]
) -> Kernel | None:
    return blas.emit(name, product, types)


def _fastest(
    options: CpuOptions, name: str, product: Product, types: tuple[str, ...]
) -> Kernel | None:
    host, threads = _host(options)
    if host is None:
        return None
    from ssft.compiler.backends.cpu.gemm import tuning  # not needed where nothing is measured

    store = open_store() if options.cache else None
    place = (str(store.directory), store.limit) if store is not None else None
    variant = tuning.tuner(host, threads, place).choose(product)
    if variant == tuning.BLAS:
        return None
    wanted = emitted.oriented(product)
    assert wanted is not None
    blocks = tuning.blocks_of(variant, wanted, host)
    return emitted.emit(name, product, types, host, threads, blocks)


PROVIDERS = {
    "auto": (_fastest, _blas, _emitted),
    "emitted": (_emitted, _blas),
    "blas": (_blas,),
    "loops": (),
}


def emit(options: CpuOptions, name: str, product: Product, types: tuple[str, ...]) -> Kernel | None:
    """The kernel `name` that computes `product` on operands A, B, C of memref types `types`."""
    for attempt in PROVIDERS[options.gemm]:
        kernel = attempt(options, name, product, types)
        if kernel is not None:
            return kernel
    return None
