"""What a command does, apart from taking time: operations, and bytes between memories."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ssft.hwmodel import isa
from ssft.hwmodel.isa import Command, Contraction, MicroProgram, Nest, Phase, Program
from ssft.hwmodel.timing.durations import contraction, micro_program, transfer
from ssft.hwmodel.timing.scratchpad import (
    gathered_entries,
    listed_entries,
    operand_bytes,
    slot_bytes,
)
from ssft.hwmodel.timing.tensor import executed_fraction
from ssft.hwmodel.timing.vector import DIVIDE, FREE, SELECTION_PASSES, SPECIAL, WIDE

if TYPE_CHECKING:
    from ssft.hwmodel.config import Machine


@dataclass(frozen=True, slots=True)
class Work:
    """Counts of one command.

    `padded_macs` are products that lanes form with padding, of edge tiles and of the last group of
    k; `skipped_macs` those that a baseline's sparsity saves. `vector_operations` are those of the
    vector, update and index units on 32-bit elements (one on 64 bits counts as two), without
    `special_operations`.
    """

    bf16_macs: int = 0
    f32_macs: int = 0
    padded_macs: int = 0
    skipped_macs: int = 0
    vector_operations: int = 0
    special_operations: int = 0
    dram_useful_bytes: int = 0
    dram_moved_bytes: int = 0
    dram_bursts: int = 0
    dram_activates: int = 0
    spm_read_bytes: int = 0
    spm_written_bytes: int = 0
    row_buffer_bytes: int = 0
    list_entries: int = 0
    rows_updated: int = 0
    elements_updated: int = 0


def gemm_work(shape: Contraction, command: isa.Gemm, machine: Machine, phase: Phase) -> Work:
    """Of a tensor command; multiply-adds with the contraction's true extents."""
    fraction = executed_fraction(machine.baseline, phase)
    executed = int(shape.macs * fraction) if fraction < 1 else shape.macs
    padding = _padded(shape, machine) - shape.macs
    return Work(
        bf16_macs=executed if shape.multiply == "bf16" else 0,
        f32_macs=executed if shape.multiply == "f32" else 0,
        padded_macs=int(padding * fraction) if fraction < 1 else padding,
        skipped_macs=shape.macs - executed,
        list_entries=gathered_entries(shape, command),
    )


def _padded(shape: Contraction, machine: Machine) -> int:
    """Products formed, padding included."""
    batch, m, n, k = (shape.extent(kind) for kind in ("batch", "m", "n", "k"))
    tensor = machine.tensor

    def up(value: int, step: int) -> int:
        return -(-value // step) * step

    if tensor.engine == "dot_lanes":
        tm, tn = shape.lane_tile
        return batch * up(m, tm) * up(n, tn) * up(k, tensor.macs_per_lane)
    rows, columns = tensor.rows or 1, tensor.columns or 1
    if tensor.engine == "systolic_ws":
        return batch * m * up(n, columns) * up(k, rows)
    return batch * up(m, rows) * up(n, columns) * k


def program_work(program: MicroProgram, *, update: bool) -> Work:
    """Of a vector or row-update command."""
    operations = special = 0
    for nest in program.nests:
        iterations = math.prod(nest.extents)
        simple, hard = _operations(program, nest)
        operations, special = operations + simple * iterations, special + hard * iterations
    widest = max((nest.extents for nest in program.nests), key=math.prod, default=())
    operands = [slot.elements for slot in program.slots if slot.access != "temporary"]
    return Work(
        vector_operations=operations,
        special_operations=special,
        row_buffer_bytes=sum(
            sum(moved)
            for number, moved in slot_bytes(program).items()
            if program.slots[number].access == "temporary"
        ),
        rows_updated=math.prod(widest[:-1]) if update else 0,
        elements_updated=max(operands, default=0) if update else 0,
    )


def _operations(program: MicroProgram, nest: Nest) -> tuple[int, int]:
    """Simple and special operations of an iteration."""
    types = [program.slots[access.slot].dtype for access in (*nest.inputs, *nest.outputs)]
    simple = special = 0
    for op in nest.code:
        count = 2 if op.dtype in WIDE or any(types[r] in WIDE for r in op.operands) else 1
        types.append(op.dtype)
        if op.name in SPECIAL or op.name in DIVIDE:
            special += count
        elif op.name not in FREE:
            simple += count
    return simple, special


def scatter_add_work(command: isa.ScatterAddRows) -> Work:
    """As if no list entry were outside of the table's rows: timing computes no values."""
    elements = command.count * command.row_elements
    return Work(vector_operations=elements, list_entries=command.count)


def index_work(command: isa.AccumulateScore | isa.CountRowsColumns | isa.TopK) -> Work:
    """Of a command of the index unit: two operations per element scanned."""
    match command:
        case isa.AccumulateScore(elements=elements):
            return Work(vector_operations=2 * elements)
        case isa.CountRowsColumns(rows=rows, columns=columns):
            return Work(vector_operations=2 * rows * columns)
    scans = SELECTION_PASSES * command.count
    return Work(vector_operations=2 * scans, list_entries=command.k)


def transfer_work(machine: Machine, command: Command) -> Work:
    """Of a DMA command."""
    moved = transfer(machine, command)
    return Work(
        dram_useful_bytes=moved.useful_bytes,
        dram_moved_bytes=moved.moved_bytes,
        dram_bursts=moved.bursts,
        dram_activates=moved.activates,
        list_entries=listed_entries(command),
    )


def command_work(program: Program, machine: Machine, command: Command, phase: Phase) -> Work:
    """What `command`, of a source operation of `phase`, does."""
    operands = operand_bytes(program, machine, command)
    return replace(
        _work_of_unit(program, machine, command, phase),
        spm_read_bytes=sum(operand.read for operand in operands),
        spm_written_bytes=sum(operand.written for operand in operands),
    )


def _work_of_unit(program: Program, machine: Machine, command: Command, phase: Phase) -> Work:
    """All but the scratchpad's bytes."""
    match command:
        case isa.Gemm():
            return gemm_work(contraction(program, command), command, machine, phase)
        case isa.Vector():
            return program_work(micro_program(program, command), update=False)
        case isa.AdamRows() | isa.SgdRows():
            return program_work(micro_program(program, command), update=True)
        case isa.ScatterAddRows():
            return scatter_add_work(command)
        case isa.AccumulateScore() | isa.CountRowsColumns() | isa.TopK():
            return index_work(command)
        case isa.Wait() | isa.Post() | isa.Fence() | isa.Mark():
            return Work()
    return transfer_work(machine, command)
