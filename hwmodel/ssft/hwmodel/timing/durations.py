"""The cycles of every command alone on its machine, from the closed forms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ssft.hwmodel import isa
from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa import Command, Contraction, Phase, Program
from ssft.hwmodel.timing.dma import (
    Transfer,
    gather_columns,
    gather_rows,
    strided,
    transfer_cycles,
)
from ssft.hwmodel.timing.tensor import executed_fraction, gemm_cycles
from ssft.hwmodel.timing.vector import (
    program_cycles,
    scan_cycles,
    scatter_add_cycles,
    top_k_cycles,
    update_cycles,
)

if TYPE_CHECKING:
    from ssft.hwmodel.config import Machine

Table = Sequence[Contraction] | Sequence[isa.MicroProgram]


def shape_cycles(
    program: Program, machine: Machine, shapes: list[Command], phases: list[Phase]
) -> list[int]:
    """How long a command of each shape occupies its unit when alone; `phases` are the shapes'.

    Raises MachineError if a command names a descriptor that the program lacks, or asks for a lane
    tile that the machine cannot hold.
    """
    return [
        command_cycles(program, machine, command, phase)
        for command, phase in zip(shapes, phases, strict=True)
    ]


def command_cycles(program: Program, machine: Machine, command: Command, phase: Phase) -> int:
    """Whole cycles; without the issue of the command, and without the latency of a transfer."""
    match command:
        case isa.Gemm():
            shape = contraction(program, command)
            extents = (shape.extent("batch"), shape.extent("m"), shape.extent("n"))
            cycles = gemm_cycles(machine.tensor, *extents, shape.extent("k"), shape.lane_tile)
            return math.ceil(cycles * executed_fraction(machine.baseline, phase))
        case isa.Vector():
            return program_cycles(machine.vector, micro_program(program, command))
        case isa.AdamRows() | isa.SgdRows():
            return update_cycles(machine.update, micro_program(program, command))
        case isa.ScatterAddRows(count=count, row_elements=elements):
            return scatter_add_cycles(machine.vector, count, elements)
        case isa.AccumulateScore(elements=elements):
            return scan_cycles(machine.index, elements)
        case isa.CountRowsColumns(rows=rows, columns=columns):
            return scan_cycles(machine.index, rows * columns)
        case isa.TopK(count=count):
            return top_k_cycles(machine.index, count)
        case isa.Wait() | isa.Post() | isa.Fence() | isa.Mark():
            return 0
    return transfer_cycles(machine, transfer(machine, command))


def transfer(machine: Machine, command: Command) -> Transfer:
    """The DRAM traffic of a DMA command.

    Lists of rows are taken to ascend, as those of masks do: timing computes no values.
    """
    dram = machine.dram
    match command:
        case isa.Load2D() | isa.Store2D():
            return strided(dram, command.rows, command.row_bytes, command.pitch)
        case isa.GatherRows() | isa.ScatterRows():
            return gather_rows(dram, command.count, command.row_bytes)
        case isa.GatherColumns() | isa.ScatterColumns():
            return gather_columns(
                dram, command.rows, command.count, command.element_bytes, command.pitch
            )
    raise TypeError(f"{command.MNEMONIC} transfers nothing")


def contraction(program: Program, command: isa.Gemm) -> Contraction:
    """The descriptor of a tensor command."""
    return program.contractions[_position(program.contractions, command.shape, command)]


def micro_program(
    program: Program, command: isa.Vector | isa.AdamRows | isa.SgdRows
) -> isa.MicroProgram:
    """The descriptor of a vector or row-update command."""
    return program.micro_programs[_position(program.micro_programs, command.program, command)]


def _position(table: Table, number: int, command: Command) -> int:
    if number < len(table):
        return number
    raise MachineError(
        f"{command.MNEMONIC} names descriptor {number}, and the program has {len(table)}"
    )
