"""Providers of matrix products, one file each.

A provider turns a `Product` into the text of a kernel function, or declines it by returning None,
in which case the next provider in `PROVIDERS[name]` is asked; the last resort is the loop nest that
``convert-linalg-to-loops`` makes of any contraction.
"""

from __future__ import annotations

from ssft.compiler.backends.cpu.cache import open_store
from ssft.compiler.backends.cpu.gemm import blas, emitted, isa
from ssft.compiler.backends.cpu.gemm.form import ADDRESS, Axis, Product, product_of
from ssft.compiler.backends.cpu.options import CpuOptions
from ssft.compiler.backends.cpu.schedule import Kernel
from ssft.compiler.diagnostics import UserError

__all__ = ["ADDRESS", "PRECISIONS", "PROVIDERS", "Axis", "Product", "emit", "product_of"]


def _host(options: CpuOptions) -> tuple[isa.Isa | None, int]:
    return isa.select(options.isa), isa.host_threads() if options.parallel else 1


def _emitted(
    options: CpuOptions, name: str, product: Product, types: tuple[str, ...]
) -> Kernel | None:
    host, threads = _host(options)
    return host and emitted.emit(name, product, types, host, threads)


def _matrix_unit(
    options: CpuOptions, name: str, product: Product, types: tuple[str, ...]
) -> Kernel | None:
    """bf16 products, and f32 products where less precision is wanted."""
    planes = 1 if product.types.operands == "bf16" else PRECISIONS[options.matmul_precision]
    unit = isa.matrix_unit(planes) if planes and options.isa == "auto" else None
    threads = isa.host_threads() if options.parallel else 1
    return unit and emitted.emit(name, product, types, unit, threads)


def _blas(
    options: CpuOptions, name: str, product: Product, types: tuple[str, ...]
) -> Kernel | None:
    return blas.emit(name, product, types)


def _widening(
    options: CpuOptions, name: str, product: Product, types: tuple[str, ...]
) -> Kernel | None:
    """bf16 products on processors without a matrix unit."""
    return _emitted(options, name, product, types) if product.types.operands == "bf16" else None


def _fastest(
    options: CpuOptions, name: str, product: Product, types: tuple[str, ...]
) -> Kernel | None:
    host, threads = _host(options)
    if host is None or product.types.operands != product.types.sums:
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
    "auto": (_matrix_unit, _fastest, _blas, _emitted),
    "emitted": (_matrix_unit, _emitted, _blas),
    "blas": (_matrix_unit, _blas, _widening),
    "loops": (),
}

PRECISIONS = {"highest": 0, "high": 2, "medium": 1}
"""bf16 numbers that an f32 number is split into, by `CpuOptions.matmul_precision`; 0 for none."""


def emit(options: CpuOptions, name: str, product: Product, types: tuple[str, ...]) -> Kernel | None:
    """The kernel `name` that computes `product` on operands A, B, C of memref types `types`.

    A type may be `ADDRESS` instead, for all three and the workspace.
    """
    _check(options)
    providers = PROVIDERS[options.gemm]
    if providers and not options.calls_blas:
        providers = (_emitted,)
    for attempt in providers:
        kernel = attempt(options, name, product, types)
        if kernel is not None:
            return kernel
    return None


def _check(options: CpuOptions) -> None:
    for option, known in (("gemm", PROVIDERS), ("matmul_precision", PRECISIONS)):
        value = getattr(options, option)
        if value not in known:
            raise UserError(
                f"unknown value '{value}' of the CPU option '{option}'",
                notes=[f"choose one of: {', '.join(known)}"],
            )
