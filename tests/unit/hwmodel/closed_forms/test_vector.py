"""Cycles of the vector, row-update and index units."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssft.hwmodel.config import load_machine
from ssft.hwmodel.isa import Access, MicroOp, MicroProgram, Nest, Slot
from ssft.hwmodel.timing.vector import (
    nest_cost,
    program_cycles,
    scan_cycles,
    scatter_add_cycles,
    top_k_cycles,
    update_cycles,
)

SERVER = load_machine("ssft-server")
VECTOR = SERVER.vector


def program(extents: tuple[int, ...], code: tuple[MicroOp, ...], dtype: str = "f32"):
    """One nest that reads one slot and writes another."""
    elements = 1
    strides: tuple[int, ...] = ()
    for extent in reversed(extents):
        strides = (elements, *strides)
        elements *= extent
    slots = (Slot(dtype, elements, "in"), Slot(dtype, elements, "out"))
    access = [Access(slot, 0, strides) for slot in (0, 1)]
    nest = Nest(extents, (False,) * len(extents), (access[0],), (access[1],), code, (0,))
    return MicroProgram("elementwise", slots, (nest,))


def op(name: str, dtype: str = "f32", operands: tuple[int, ...] = (0,)) -> MicroOp:
    return MicroOp(name, operands, dtype)


@pytest.mark.parametrize(
    ("code", "cost"),
    [
        ((), 0),
        ((MicroOp("constant", (), "f32", 1.0), MicroOp("index", (), "i64", 0)), 0),
        ((op("addf"), op("mulf")), 2),
        ((op("exp"),), 4),
        ((op("divf"), op("sqrt")), 8),
        ((op("addf", "f64"),), 2),
        ((op("exp", "f64"),), 8),
        # The second operation works on the 64-bit result of the first.
        ((op("extf", "f64"), op("truncf", "f32", (2,))), 4),
        ((op("fptosi", "i64"), op("cmpi", "i1", (2,))), 4),
    ],
)
def test_cost_of_an_iteration(code: tuple[MicroOp, ...], cost: int):
    made = program((8,), code)
    assert nest_cost(VECTOR, made, made.nests[0]) == cost


def test_cost_counts_wide_operands_of_slots():
    made = program((8,), (op("truncf"),), "f64")
    assert nest_cost(VECTOR, made, made.nests[0]) == 2


@pytest.mark.parametrize(
    ("iterations", "operations", "cycles"),
    [(8192, 4, 17), (8193, 4, 18), (8192, 5, 18), (1, 1, 17), (1, 0, 17), (81920, 8, 36)],
)
def test_program(iterations: int, operations: int, cycles: int):
    assert program_cycles(VECTOR, program((iterations,), (op("addf"),) * operations)) == cycles


def test_nests_follow_each_other():
    one = program((100, 100), (op("addf"),))
    two = MicroProgram("elementwise", one.slots, one.nests * 2)
    assert program_cycles(VECTOR, two) - program_cycles(VECTOR, one) == 2


def test_update_depends_on_elements_only():
    few, many = program((100, 64), (op("addf"),)), program((100, 64), (op("sqrt"),) * 30)
    assert update_cycles(SERVER.update, few) == update_cycles(SERVER.update, many) == 32 + 13


def test_rows_of_a_scatter_do_not_overlap():
    assert scatter_add_cycles(VECTOR, 100, 768) == 16 + 100
    assert scatter_add_cycles(VECTOR, 100, 8193) == 16 + 200


def test_index_unit():
    assert scan_cycles(SERVER.index, 4096 * 4096) == 16 + 32768
    assert top_k_cycles(SERVER.index, 1024) == 16 + 5 * 2


@given(
    extents=st.lists(st.integers(1, 300), min_size=1, max_size=3),
    operations=st.integers(1, 12),
    lanes=st.integers(1, 9000),
    more=st.integers(1, 9000),
)
def test_bounds(extents: list[int], operations: int, lanes: int, more: int):
    made = program(tuple(extents), (op("addf"),) * operations)
    few = VECTOR.model_copy(update={"lanes": lanes})
    cycles = program_cycles(few, made)
    done = made.slots[0].elements * operations
    assert cycles * lanes * few.alus_per_lane >= done
    assert program_cycles(VECTOR.model_copy(update={"lanes": lanes + more}), made) <= cycles
