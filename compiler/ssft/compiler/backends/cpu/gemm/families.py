"""Which code multiplies on which instruction set: vectors or Intel's matrix unit.

A family has ``functions``, ``name_of`` and ``workspace``; its function that multiplies takes
`goto.PARAMETERS`.
"""

from __future__ import annotations

from types import ModuleType

from ssft.compiler.backends.cpu.gemm import amx, goto
from ssft.compiler.backends.cpu.gemm.form import Types
from ssft.compiler.backends.cpu.gemm.isa import Amx, Isa


def family(isa: Isa) -> ModuleType:
    """The module that writes code for `isa`."""
    return amx if isinstance(isa, Amx) else goto


def element_types(isa: Isa) -> tuple[Types, ...]:
    """Element types of products that `isa` computes.

    Vectors widen bf16 to f32, while operands are packed.
    """
    narrow = Types("bf16", "bf16"), Types("bf16", "f32")
    if not isinstance(isa, Amx):
        return Types("f32", "f32"), Types("f64", "f64"), *narrow
    return (*narrow, Types("f32", "f32")) if isa.planes == 1 else (Types("f32", "f32"),)
