"""What each operand of a command reads and writes of the scratchpad.

Tensor unit. The lanes of a PE form a grid, as nearly square as their number allows, and each
computes a lane tile; so a PE computes a block of (grid rows x tile rows) by (grid columns x tile
columns) at a time, and broadcasts each element of A along its row of lanes and each element of B
along its column. A is thus read once per column of blocks, B once per row of blocks. The result is
written once, and read once if the command accumulates.

Vector unit. A nest reads an input once per iteration, except that an element which the innermost
dimensions do not move is held in a register; the same for results. Temporaries live in the row
buffer and cost no scratchpad traffic.

DMA units. Rows are packed in the scratchpad, so what is asked for is what moves there.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from ssft.hwmodel import isa
from ssft.hwmodel.isa import Access, Command, Contraction, MicroProgram, Nest, Program, Queue
from ssft.hwmodel.isa.dtypes import ELEMENT_BYTES
from ssft.hwmodel.timing.dma import Transfer
from ssft.hwmodel.timing.durations import contraction, micro_program, transfer
from ssft.hwmodel.timing.vector import SELECTION_PASSES

if TYPE_CHECKING:
    from ssft.hwmodel.config import Machine

INDEX_BYTES = 8
F32_BYTES = 4


class OperandBytes(NamedTuple):
    """Scratchpad bytes that a command reads and writes of one operand.

    `operand` is the field that has its address, or its position in the command's argument list.
    """

    operand: str | int
    read: int
    written: int = 0


def operand_bytes(program: Program, machine: Machine, command: Command) -> list[OperandBytes]:
    """Of all operands of `command`; the same for every command of a shape."""
    match command:
        case isa.Gemm():
            return _product(contraction(program, command), command, machine)
        case isa.Vector() | isa.AdamRows() | isa.SgdRows():
            made = micro_program(program, command)
            return [
                OperandBytes(number, *moved)
                for number, moved in slot_bytes(made).items()
                if made.slots[number].access != "temporary"
            ]
        case isa.ScatterAddRows(count=count, row_elements=width):
            size = count * width * F32_BYTES
            return [OperandBytes("target", size, size), OperandBytes("source", size),
                    OperandBytes("index", count * INDEX_BYTES)]  # fmt: skip
        case isa.AccumulateScore(elements=elements):
            size = elements * F32_BYTES
            return [OperandBytes("gradient", size), OperandBytes("score", size, size)]
        case isa.CountRowsColumns(rows=rows, columns=columns):
            counts = columns if command.by_column else rows
            return [OperandBytes("score", rows * columns * F32_BYTES),
                    OperandBytes("counts", 0, counts * F32_BYTES)]  # fmt: skip
        case isa.TopK(count=count, k=k):
            return [OperandBytes("values", SELECTION_PASSES * count * F32_BYTES),
                    OperandBytes("index", 0, k * INDEX_BYTES)]  # fmt: skip
        case isa.Wait() | isa.Post() | isa.Fence() | isa.Mark():
            return []
    return _transfer(command, transfer(machine, command))


def _transfer(command: Command, moved: Transfer) -> list[OperandBytes]:
    size = moved.useful_bytes
    inward = command.QUEUES[0] is Queue.DMA_IN
    found = [OperandBytes("spm", *((0, size) if inward else (size, 0)))]
    if entries := listed_entries(command):
        found.append(OperandBytes("index", entries * INDEX_BYTES))
    return found


def listed_entries(command: Command) -> int:
    """The entries of the list that a DMA command looks up."""
    if isinstance(command, isa.Load2D | isa.Store2D):
        return 0
    return command.count  # type: ignore[attr-defined]


def _product(shape: Contraction, command: isa.Gemm, machine: Machine) -> list[OperandBytes]:
    batch, m, n, k = (shape.extent(kind) for kind in ("batch", "m", "n", "k"))
    rows, columns = block(shape, machine)
    a, b, c = (ELEMENT_BYTES[d] for d in (shape.a_dtype, shape.b_dtype, shape.c_dtype))
    result = batch * m * n * c
    found = [
        OperandBytes("a", batch * m * k * a * -(-n // columns)),
        OperandBytes("b", batch * k * n * b * -(-m // rows)),
        OperandBytes("c", result if command.accumulate else 0, result),
    ]
    if entries := gathered_entries(shape, command):
        found.append(OperandBytes("index", entries * INDEX_BYTES))
    return found


def gathered_entries(shape: Contraction, command: isa.Gemm) -> int:
    """The entries of the list that a tensor command looks up."""
    if shape.indexed is None or command.index == isa.NO_LIST:
        return 0
    return shape.dims[shape.indexed].extent


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


def slot_bytes(program: MicroProgram) -> dict[int, tuple[int, int]]:
    """(bytes read, bytes written) of each slot of a micro-program that a nest touches."""
    found: dict[int, tuple[int, int]] = {}
    for nest in program.nests:
        for slot, loaded, stored in _accesses(nest):
            size = ELEMENT_BYTES[program.slots[slot].dtype]
            read, written = found.get(slot, (0, 0))
            found[slot] = read + loaded * size, written + stored * size
    return found


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
