"""Which code multiplies on which instruction set: vectors or Intel's matrix unit.

A family has ``functions``, ``name_of`` and ``workspace``; its function that multiplies takes
`goto.PARAMETERS`.
"""

from __future__ import annotations

from types import ModuleType

from ssft.compiler.backends.cpu.gemm import amx, goto
from ssft.compiler.backends.cpu.gemm.isa import Amx, Isa


def family(isa: Isa) -> ModuleType:
    """The module that writes code for `isa`."""
    return amx if isinstance(isa, Amx) else goto


def dtypes(isa: Isa) -> tuple[str, ...]:
    """Element types of products that `isa` computes; of A, B and C alike."""
    if not isinstance(isa, Amx):
        return "f32", "f64"
    return ("bf16", "f32") if isa.planes == 1 else ("f32",)
