"""Cycles of the vector, row-update and index units."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssft.hwmodel.config.schema import IndexUnit, UpdateUnit, VectorUnit
    from ssft.hwmodel.isa.microprogram import MicroProgram, Nest

FREE = frozenset({"constant", "index"})
"""Micro-operations that take no slot: they are wires."""
DIVIDE = frozenset(["divf", "remf", "sqrt", "rsqrt", "divsi", "divui", "remsi", "remui"])
EXPONENTIAL = frozenset(["exp", "exp2", "expm1", "log", "log1p", "log2", "powf", "fpowi"])
SPECIAL = EXPONENTIAL | {"sin", "cos", "tan", "tanh", "erf"}
WIDE = frozenset({"f64", "i64"})

DIGIT_BITS, VALUE_BITS = 8, 32
SELECTION_PASSES = VALUE_BITS // DIGIT_BITS + 1
"""Passes of top-k over its values: a radix selection of the threshold, a digit per pass, and one
that writes the positions of values above it."""


def nest_cost(vector: VectorUnit, program: MicroProgram, nest: Nest) -> int:
    """Micro-operation slots that one iteration takes of a lane.

    An operation with a 64-bit operand or result takes `wide_cost` times as many.
    """
    types = [program.slots[access.slot].dtype for access in (*nest.inputs, *nest.outputs)]
    cost = 0
    for op in nest.code:
        wide = op.dtype in WIDE or any(types[register] in WIDE for register in op.operands)
        types.append(op.dtype)
        if op.name in FREE:
            continue
        slots = 1
        if op.name in SPECIAL:
            slots = vector.special_cost
        elif op.name in DIVIDE:
            slots = vector.divide_cost
        cost += slots * (vector.wide_cost if wide else 1)
    return cost


def program_cycles(vector: VectorUnit, program: MicroProgram) -> int:
    """Cycles of a micro-program on the vector unit. Compute it once per program."""
    cycles = vector.startup_cycles
    for nest in program.nests:
        passes = max(1, -(-nest_cost(vector, program, nest) // vector.alus_per_lane))
        cycles += -(-math.prod(nest.extents) // vector.lanes) * passes
    return cycles


def update_cycles(update: UpdateUnit, program: MicroProgram) -> int:
    """Cycles of a micro-program on the row-update unit, a pipeline over its largest slot."""
    elements = max((slot.elements for slot in program.slots), default=0)
    return update.startup_cycles + -(-elements // update.lanes)


def scatter_add_cycles(vector: VectorUnit, count: int, row_elements: int) -> int:
    """Cycles in which the vector unit adds `count` rows, one after the other, to rows of a table.

    Rows cannot overlap in time: two list entries may name the same row.
    """
    return vector.startup_cycles + count * -(-row_elements // vector.lanes)


def scan_cycles(index: IndexUnit, elements: int) -> int:
    """Cycles in which the index unit goes once over `elements`: scores, and counts."""
    return index.startup_cycles + -(-elements // index.lanes)


def top_k_cycles(index: IndexUnit, count: int) -> int:
    """Cycles in which the index unit selects among `count` values; they do not depend on k."""
    return index.startup_cycles + SELECTION_PASSES * -(-count // index.lanes)
