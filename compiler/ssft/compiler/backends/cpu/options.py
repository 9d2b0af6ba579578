"""What can be chosen about CPU code generation."""

from __future__ import annotations

from dataclasses import dataclass

from ssft.compiler.diagnostics import UserError


@dataclass(frozen=True)
class CpuOptions:
    """Options of `compile_step`.

    `gemm` names the provider of matrix products (`ssft.compiler.backends.cpu.gemm`): ``"blas"``
    calls the BLAS inside PyTorch's libraries, ``"emitted"`` is code of our own, ``"auto"``
    measures once which of the two is faster for a product, and ``"loops"`` emits plain loops.
    `isa` is the instruction set of all code: ``"avx512"``, ``"avx2"``, or ``"auto"`` for all that
    this host has. BLAS makes its own choice, so that it is not called if a set is given.
    `matmul_precision` is that of ``torch.set_float32_matmul_precision``: if the processor has a
    matrix unit, products of f32 arrays split each operand into two bf16 numbers with ``"high"``
    (about 16 bits of mantissa) and round it to one with ``"medium"``; sums stay f32. Products of
    bf16 arrays use that unit in any case but ``"loops"``.
    With `products` ``"blocked"``, products run block by block with the rows between them (those of
    a softmax) where that keeps large arrays out of memory, and what the backward pass needs of such
    an array is computed again; with ``"whole"`` each product is computed as a whole.
    `opt_level` is LLVM's, 0 to 3. `parallel` lets large kernels use the threads
    of the OpenMP runtime that PyTorch loads; the split is static, so what these kernels compute
    does not depend on the number of threads (BLAS promises no such thing). With `cache`, what was
    compiled before is taken from the cache on disk, and what is compiled is put there.
    """

    gemm: str = "blas"
    opt_level: int = 3
    parallel: bool = True
    cache: bool = True
    isa: str = "auto"
    matmul_precision: str = "highest"
    products: str = "blocked"

    @property
    def blocks_products(self) -> bool:
        """Whether products may run block by block."""
        if self.products not in ("blocked", "whole"):
            raise UserError(
                f"unknown value '{self.products}' of the CPU option 'products'",
                notes=["choose one of: blocked, whole"],
            )
        return self.products == "blocked"

    @property
    def calls_blas(self) -> bool:
        """Whether products may be calls of BLAS."""
        return self.gemm != "loops" and self.isa == "auto"
