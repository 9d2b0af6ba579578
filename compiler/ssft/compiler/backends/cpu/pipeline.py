"""The stages of CPU code generation, as data.

A stage is the text of upstream MLIR passes, or a pass of ours. `TENSOR_STAGES` turn a plan's
``@step`` into straight-line code on buffers; the scheduler cuts that into kernels; `KERNEL_STAGES`
lower the kernels to the LLVM dialect.
"""

from __future__ import annotations

from ssft.compiler.backends.cpu.gemm.isa import Isa
from ssft.compiler.passes.base import Pass
from ssft.compiler.passes.convert_ssft_to_linalg import ConvertSsftToLinalgPass
from ssft.compiler.passes.cpu_decompose_concat import CpuDecomposeConcatPass
from ssft.compiler.passes.cpu_expand_contractions import CpuExpandContractionsPass
from ssft.compiler.passes.cpu_expand_math import CpuExpandMathPass
from ssft.compiler.passes.cpu_fold_transposes import CpuFoldTransposesPass
from ssft.compiler.passes.cpu_fuse_rows import CpuFuseRowsPass
from ssft.compiler.passes.cpu_hoist_scratch import CpuHoistScratchPass
from ssft.compiler.passes.cpu_lower_copies import CpuLowerCopiesPass
from ssft.compiler.passes.cpu_move_transposes import CpuMoveTransposesPass
from ssft.compiler.passes.cpu_order_loops import CpuOrderLoopsPass
from ssft.compiler.passes.cpu_recompute_products import CpuRecomputeProductsPass
from ssft.compiler.passes.cpu_relax_reductions import CpuRelaxReductionsPass
from ssft.compiler.passes.cpu_separate_destinations import CpuSeparateDestinationsPass
from ssft.compiler.passes.cpu_shield_contractions import CpuShieldContractionsPass
from ssft.compiler.passes.cpu_split_loops import CpuSplitLoopsPass
from ssft.compiler.passes.cpu_split_reductions import CpuSplitReductionsPass
from ssft.compiler.passes.cpu_tune_functions import CpuTuneFunctionsPass
from ssft.compiler.passes.cpu_widen_sums import CpuWidenSumsPass
from ssft.compiler.passes.cpu_write_in_place import CpuWriteInPlacePass

Stage = str | Pass

TENSOR_STAGES: tuple[Stage, ...] = (
    CpuRecomputeProductsPass(),
    ConvertSsftToLinalgPass(keep_barriers=True),
    "inline,symbol-dce,canonicalize,cse",
    "func.func(linalg-generalize-named-ops)",
    CpuWidenSumsPass(),
    CpuMoveTransposesPass(),
    CpuExpandContractionsPass(),
    "canonicalize,cse",
    CpuFoldTransposesPass(),
    CpuShieldContractionsPass(),
    "func.func(linalg-fold-unit-extent-dims),linalg-fuse-elementwise-ops,canonicalize,cse",
    "inline,symbol-dce",
    CpuSplitReductionsPass(),
    CpuDecomposeConcatPass(),
    CpuWriteInPlacePass(),
    "canonicalize,cse",
    # From here on nothing merges equal computations: they write to buffers.
    ConvertSsftToLinalgPass(),
    CpuSeparateDestinationsPass(),
    "eliminate-empty-tensors",
    "one-shot-bufferize{bufferize-function-boundaries=1 "
    "function-boundary-type-conversion=identity-layout-map}",
    "canonicalize,cse,canonicalize",
    "func.func(linalg-generalize-named-ops)",
    CpuOrderLoopsPass(),
    CpuFuseRowsPass(),
)

KERNEL_STAGES: tuple[Stage, ...] = (
    CpuHoistScratchPass(),
    CpuLowerCopiesPass(),
    CpuRelaxReductionsPass(),
    "func.func(convert-linalg-to-loops)",
    CpuSplitLoopsPass(),
    # Half precision is for memory: arithmetic is in f32 on all processors alike, and an expression
    # is rounded once. Roundings that the program asks for stay.
    "func.func(math-extend-to-supported-types{target-type=f32 extra-types=f64},"
    "arith-emulate-unsupported-floats{source-types=bf16,f16 target-type=f32},canonicalize)",
    CpuExpandMathPass(),
    "canonicalize,cse,loop-invariant-code-motion",
    "expand-strided-metadata,lower-affine,convert-scf-to-cf",
    "func.func(math-expand-ops{ops=fpowi}),arith-expand{include-bf16=true}",
    "convert-math-to-llvm,convert-math-to-libm,convert-arith-to-llvm,convert-index-to-llvm",
    "finalize-memref-to-llvm,convert-func-to-llvm{use-bare-ptr-memref-call-conv=1}",
    "convert-cf-to-llvm,reconcile-unrealized-casts,canonicalize,cse",
)


def tensor_stages(blocked: bool) -> tuple[Stage, ...]:
    """`TENSOR_STAGES`; unless `blocked`, each matrix product runs as a whole, and only once."""
    if blocked:
        return TENSOR_STAGES
    alone = {
        CpuRecomputeProductsPass: CpuRecomputeProductsPass(least=0),
        CpuFuseRowsPass: CpuFuseRowsPass(products=0),
    }
    return tuple(alone.get(type(stage), stage) for stage in TENSOR_STAGES)


def tuning(isa: Isa | None) -> CpuTuneFunctionsPass:
    """The last stage: functions are for the instruction set `isa` alone, or all that the host has.

    What an attribute of a function says replaces what LLVM finds out about the host.
    """
    if isa is None:
        return CpuTuneFunctionsPass()
    features = ";".join(isa.features)
    return CpuTuneFunctionsPass(width=8 * isa.vector, cpu=isa.cpu, features=features)
