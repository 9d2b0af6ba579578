"""The instruction set of SSFT-Hw: commands, descriptor tables and the program that holds them.

This is all that the compiler and the machine model share. `commands` is the one table of
commands; `contraction` and `microprogram` are the descriptors that commands refer to by number;
`program` is the container that a compiler emits and a machine loads.
"""

from ssft.hwmodel.isa.commands import (
    COMMANDS,
    NO_LIST,
    AccumulateScore,
    AdamRows,
    Command,
    CountRowsColumns,
    Fence,
    GatherColumns,
    GatherRows,
    Gemm,
    Load2D,
    Mark,
    Post,
    Queue,
    ScatterAddRows,
    ScatterColumns,
    ScatterRows,
    SgdRows,
    Store2D,
    TopK,
    Vector,
    Wait,
)
from ssft.hwmodel.isa.contraction import Contraction, Dim, DimKind
from ssft.hwmodel.isa.microprogram import Access, MicroOp, MicroProgram, Nest, Slot
from ssft.hwmodel.isa.program import DramBuffer, Phase, Program, Purpose, SourceOp, SpmSlot

__all__ = [
    "COMMANDS",
    "NO_LIST",
    "Access",
    "AccumulateScore",
    "AdamRows",
    "Command",
    "Contraction",
    "CountRowsColumns",
    "Dim",
    "DimKind",
    "DramBuffer",
    "Fence",
    "GatherColumns",
    "GatherRows",
    "Gemm",
    "Load2D",
    "Mark",
    "MicroOp",
    "MicroProgram",
    "Nest",
    "Phase",
    "Post",
    "Program",
    "Purpose",
    "Queue",
    "ScatterAddRows",
    "ScatterColumns",
    "ScatterRows",
    "SgdRows",
    "Slot",
    "SourceOp",
    "SpmSlot",
    "Store2D",
    "TopK",
    "Vector",
    "Wait",
]
