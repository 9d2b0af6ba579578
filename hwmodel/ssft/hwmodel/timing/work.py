"""What a command does, apart from taking time: operations, and bytes between memories.

Scratchpad traffic of the tensor unit. The lanes of a PE form a grid, as nearly square as their
number allows, and each computes a lane tile; so a PE computes a block of (grid rows x tile rows) by
(grid columns x tile columns) at a time, and broadcasts each element of A along its row of lanes and
each element of B along its column. A is thus read once per column of blocks, B once per row of
blocks. The result is written once, and read once if the command accumulates.

Scratchpad traffic of the vector unit. A nest reads an input once per iteration, except that an
element which the innermost dimensions do not move is held in a register; the same for results.
Temporaries live in the row buffer and cost no scratchpad traffic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ssft.hwmodel import isa
from ssft.hwmodel.isa import Access, Command, Contraction, MicroProgram, Nest, Phase, Program, Queue
from ssft.hwmodel.isa.dtypes import ELEMENT_BYTES
from ssft.hwmodel.timing.durations import contraction, micro_program, transfer
from ssft.hwmodel.timing.tensor import executed_fraction
from ssft.hwmodel.timing.vector import DIVIDE, FREE, SELECTION_PASSES, SPECIAL, WIDE

if TYPE_CHECKING:
    from ssft.hwmodel.config import Machine

INDEX_BYTES = 8
F32_BYTES = 4


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
    batch, m, n, k = (shape.extent(kind) for kind in ("batch", "m", "n", "k"))
    rows, columns = block(shape, machine)
    a, b, c = (ELEMENT_BYTES[d] for d in (shape.a_dtype, shape.b_dtype, shape.c_dtype))
    listed = shape.indexed is not None and command.index != isa.NO_LIST
    entries = shape.dims[shape.indexed].extent if listed and shape.indexed is not None else 0
    read = batch * (m * k * a * -(-n // columns) + k * n * b * -(-m // rows))
    result = batch * m * n * c
    return Work(
        bf16_macs=executed if shape.multiply == "bf16" else 0,
        f32_macs=executed if shape.multiply == "f32" else 0,
        padded_macs=int(padding * fraction) if fraction < 1 else padding,
        skipped_macs=shape.macs - executed,
        spm_read_bytes=read + entries * INDEX_BYTES + (result if command.accumulate else 0),
        spm_written_bytes=result,
        list_entries=entries,
    )


def block(shape: Contraction, machine: Machine) -> tuple[int, int]:
    """Rows and columns of the block of C that shares one reading of A and B."""
    tensor = machine.tensor
    if tensor.engine != "dot_lanes":
        # A systolic array passes operands on across all of its rows and columns. One that holds
        # weights reads them once; `rows` of C then do not limit the reuse of B.
        rows = shape.extent("m") if tensor.engine == "systolic_ws" else tensor.rows
        return rows or 1, tensor.columns or 1
    short = max(d for d in range(1, math.isqrt(tensor.lanes_per_pe) + 1)
                if tensor.lanes_per_pe % d == 0)  # fmt: skip
    long = tensor.lanes_per_pe // short
    tm, tn = shape.lane_tile
    blocks = ((short * tm, long * tn), (long * tm, short * tn))
    return min(blocks, key=lambda rc: abs(rc[0] - rc[1]))


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
    operations = special = read = written = buffered = 0
    for nest in program.nests:
        iterations = math.prod(nest.extents)
        simple, hard = _operations(program, nest)
        operations, special = operations + simple * iterations, special + hard * iterations
        for slot, loaded, stored in _accesses(nest):
            size = ELEMENT_BYTES[program.slots[slot].dtype]
            if program.slots[slot].access == "temporary":
                buffered += (loaded + stored) * size
            else:
                read, written = read + loaded * size, written + stored * size
    widest = max((nest.extents for nest in program.nests), key=math.prod, default=())
    operands = [slot.elements for slot in program.slots if slot.access != "temporary"]
    return Work(
        vector_operations=operations,
        special_operations=special,
        spm_read_bytes=read,
        spm_written_bytes=written,
        row_buffer_bytes=buffered,
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


def _accesses(nest: Nest) -> list[tuple[int, int, int]]:
    """(slot, elements loaded, elements stored) of everything that a nest touches."""
    iterations = math.prod(nest.extents)
    found = [(access.slot, _moves(access, nest), 0) for access in nest.inputs]
    used = {r for op in nest.code for r in op.operands} | set(nest.results)
    for position, access in enumerate(nest.outputs, len(nest.inputs)):
        stored = _moves(access, nest)
        loaded = stored if position in used else 0
        if loaded and access.initial is not None:
            # The first visit of each element takes the initial value instead.
            loaded -= _distinct(access, nest)
        found.append((access.slot, loaded, stored))
    found += [
        (op.immediate, iterations, 0)
        for op in nest.code
        if op.name == "extract" and isinstance(op.immediate, int)
    ]
    return found


def _moves(access: Access, nest: Nest) -> int:
    """How often the element under an access changes: dimensions inside the last mover do not."""
    last = max((i for i, stride in enumerate(access.strides) if stride), default=-1)
    return math.prod(nest.extents[: last + 1])


def _distinct(access: Access, nest: Nest) -> int:
    """Elements that an access visits."""
    return math.prod(e for e, stride in zip(nest.extents, access.strides, strict=True) if stride)


def scatter_add_work(command: isa.ScatterAddRows) -> Work:
    """As if no list entry were outside of the table's rows: timing computes no values."""
    elements = command.count * command.row_elements
    return Work(
        vector_operations=elements,
        spm_read_bytes=2 * elements * F32_BYTES + command.count * INDEX_BYTES,
        spm_written_bytes=elements * F32_BYTES,
        list_entries=command.count,
    )


def index_work(command: isa.AccumulateScore | isa.CountRowsColumns | isa.TopK) -> Work:
    """Of a command of the index unit: two operations per element scanned."""
    match command:
        case isa.AccumulateScore(elements=elements):
            return Work(vector_operations=2 * elements, spm_read_bytes=2 * elements * F32_BYTES,
                        spm_written_bytes=elements * F32_BYTES)  # fmt: skip
        case isa.CountRowsColumns(rows=rows, columns=columns):
            counts = columns if command.by_column else rows
            return Work(vector_operations=2 * rows * columns, spm_written_bytes=counts * F32_BYTES,
                        spm_read_bytes=rows * columns * F32_BYTES)  # fmt: skip
    scans = SELECTION_PASSES * command.count
    return Work(vector_operations=2 * scans, spm_read_bytes=scans * F32_BYTES,
                spm_written_bytes=command.k * INDEX_BYTES, list_entries=command.k)  # fmt: skip


def transfer_work(machine: Machine, command: Command) -> Work:
    """Of a DMA command; the scratchpad's side of it is packed."""
    moved = transfer(machine, command)
    entries = 0 if isinstance(command, isa.Load2D | isa.Store2D) else command.count  # type: ignore
    inward = command.QUEUES[0] is Queue.DMA_IN
    return Work(
        dram_useful_bytes=moved.useful_bytes,
        dram_moved_bytes=moved.moved_bytes,
        dram_bursts=moved.bursts,
        dram_activates=moved.activates,
        spm_read_bytes=(0 if inward else moved.useful_bytes) + entries * INDEX_BYTES,
        spm_written_bytes=moved.useful_bytes if inward else 0,
        list_entries=entries,
    )


def command_work(program: Program, machine: Machine, command: Command, phase: Phase) -> Work:
    """What `command`, of a source operation of `phase`, does."""
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
