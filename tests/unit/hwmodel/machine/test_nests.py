"""Micro-programs: nests run as arrays give the bits of a loop over scalars."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from machine_programs import bits, run_micro_program, slow_sum

from ssft.hwmodel.isa import (
    Access,
    AdamRows,
    MicroOp,
    MicroProgram,
    Nest,
    SgdRows,
    Slot,
    Vector,
)

F32 = np.float32
SCALAR = {
    "addf": lambda a, b: a + b,
    "subf": lambda a, b: a - b,
    "mulf": lambda a, b: a * b,
    # Neither order decides between zeros: their bits do.
    "maximumf": lambda a, b: max(a, b, key=lambda x: (x != x, x, not np.signbit(x))),
    "negf": lambda a: -a,
}


def is_grouped(nest: Nest, number: int) -> bool:
    """Whether an output is a sum in groups, by the words of the instruction set."""
    first = len(nest.inputs) + len(nest.outputs)
    current, result = len(nest.inputs) + number, nest.results[number]
    reads = [r for op in nest.code for r in op.operands] + list(nest.results)
    if result < first or nest.code[result - first].name != "addf":
        return False
    operands = nest.code[result - first].operands
    moved = all(
        s or e == 1 for s, e in zip(nest.outputs[number].strides, nest.extents, strict=True)
    )
    alone = reads.count(current) == 1 and reads.count(result) == 1
    return not moved and current in operands and alone


def slow_nest(nest: Nest, slots: list[np.ndarray]) -> None:
    """Runs a nest of f32 operations, an iteration at a time."""
    terms: dict[tuple[int, int], list] = {}
    for access in nest.outputs:
        if access.initial is not None:
            for position in itertools.product(*map(range, nest.extents)):
                slots[access.slot][place(access, position)] = access.initial
    for position in itertools.product(*map(range, nest.extents)):
        registers = [slots[a.slot][place(a, position)] for a in (*nest.inputs, *nest.outputs)]
        for op in nest.code:
            registers.append(F32(SCALAR[op.name](*(registers[r] for r in op.operands))))
        for number, (access, result) in enumerate(zip(nest.outputs, nest.results, strict=True)):
            if is_grouped(nest, number):
                current = len(nest.inputs) + number
                op = nest.code[result - len(nest.inputs) - len(nest.outputs)]
                term = op.operands[op.operands[0] == current]
                terms.setdefault((number, place(access, position)), []).append(registers[term])
            else:
                slots[access.slot][place(access, position)] = registers[result]
    for (number, element), found in terms.items():
        slot = slots[nest.outputs[number].slot]
        slot[element] = slow_sum(found, slot[element])


def place(access: Access, position: tuple[int, ...]) -> int:
    return access.offset + sum(p * s for p, s in zip(position, access.strides, strict=True))


@st.composite
def nests(draw):
    """One nest with one to three inputs and outputs, some of which reduce, and random code."""
    rank = draw(st.integers(0, 3))
    extents = tuple(draw(st.sampled_from([1, 2, 3, 5, 18])) for _ in range(rank))
    reduction = tuple(draw(st.booleans()) for _ in range(rank))
    slots: list[Slot] = []

    def access(moves: list[bool], kind: str, initial=None) -> Access:
        step, strides = 1, [0] * rank
        for dim in draw(st.permutations(range(rank))):
            if moves[dim]:
                strides[dim], step = step, step * extents[dim]
        offset = draw(st.integers(0, 2))
        slots.append(Slot("f32", step + offset, kind))
        return Access(len(slots) - 1, offset, tuple(strides), initial)

    inputs, outputs = [], []
    for _ in range(draw(st.integers(1, 2))):
        inputs.append(access([draw(st.booleans()) for _ in range(rank)], "in"))
    for _ in range(draw(st.integers(1, 3))):
        moves = [not reduces or draw(st.booleans()) for reduces in reduction]
        initial = draw(st.sampled_from([None, 0.0, 1.5]))
        outputs.append(access(moves, "inout", initial))
    code: list[MicroOp] = []
    first = len(inputs) + len(outputs)
    for _ in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from(["addf", "addf", "subf", "mulf", "maximumf", "negf"]))
        count = 1 if name == "negf" else 2
        registers = [draw(st.integers(0, first + len(code) - 1)) for _ in range(count)]
        code.append(MicroOp(name, tuple(registers), "f32"))
    results = tuple(draw(st.integers(0, first + len(code) - 1)) for _ in outputs)
    nest = Nest(extents, reduction, tuple(inputs), tuple(outputs), tuple(code), results)
    return MicroProgram("random", tuple(slots), (nest,))


@settings(max_examples=150, deadline=None)
@given(nests(), st.integers(0, 99))
def test_bits_of_any_nest(micro, seed):
    random = np.random.default_rng(seed)
    slots = [random.standard_normal(slot.elements).astype(F32) for slot in micro.slots]
    found = run_micro_program(micro, slots)
    with np.errstate(all="ignore"):
        slow_nest(micro.nests[0], slots)
    expected = [s for s, slot in zip(slots, micro.slots, strict=True) if slot.access != "in"]
    for result, wanted in zip(found, expected, strict=True):
        assert np.array_equal(bits(result), bits(wanted))


def row_reduction(code, extent, dtype="f32", initial=0.0, results=(None,)) -> MicroProgram:
    """Rows of ``[3, extent]`` reduced to ``[3]``: register 0 the element, 1 the accumulator."""
    slots = (Slot(dtype, 3 * extent, "in"), Slot(dtype, 3, "out"))
    nest = Nest(
        (3, extent),
        (False, True),
        (Access(0, 0, (extent, 1)),),
        (Access(1, 0, (1, 0), initial),),
        code,
        (1 + len(code),),
    )
    return MicroProgram("rows", slots, (nest,))


@pytest.mark.parametrize("extent", [1, 15, 16, 17, 100])
def test_sums_are_grouped(extent):
    values = np.random.default_rng(0).standard_normal((3, extent)).astype(F32)
    for operands in ((0, 1), (1, 0)):
        micro = row_reduction((MicroOp("addf", operands, "f32"),), extent)
        (found,) = run_micro_program(micro, [values, None])
        assert np.array_equal(
            bits(found), bits(np.array([slow_sum(row, F32(0)) for row in values]))
        )


def test_sums_of_bf16_round_every_addition():
    values = np.ones((3, 600), F32)
    micro = row_reduction((MicroOp("addf", (0, 1), "bf16"),), 600, "bf16")
    (found,) = run_micro_program(micro, [values, None])
    # Groups are 16; from 512 on a bf16 counts in steps of 4, and 8 more are 8 more.
    assert found.tolist() == [600] * 3
    single = row_reduction((MicroOp("subf", (1, 0), "bf16"),), 600, "bf16")
    (found,) = run_micro_program(single, [values, None])
    assert found.tolist() == [-256] * 3


def test_products_are_sequential():
    values = np.full((3, 40), 1e30, F32)
    values[:, 1::2] = 1e-30
    values[:, 38:] = 2
    (found,) = run_micro_program(
        row_reduction((MicroOp("mulf", (1, 0), "f32"),), 40, initial=1.0), [values, None]
    )
    expected = F32(1)
    for factor in values[0]:
        expected = expected * factor
    assert found.tolist() == [expected] * 3


@pytest.mark.parametrize(
    ("name", "row", "expected"),
    [
        ("maximumf", [1, 5, -3], 5),
        ("maximumf", [1, np.nan, 3], np.nan),
        ("maximumf", [-0.0, 0.0, -0.0], 0.0),
        ("minimumf", [0.0, -0.0, 0.0], -0.0),
        ("maxnumf", [1, np.nan, 3], 3),
        ("minnumf", [np.nan, np.nan, 3], 3),
    ],
)
def test_extremes(name, row, expected):
    initial = -np.inf if name.startswith("max") else np.inf
    micro = row_reduction((MicroOp(name, (0, 1), "f32"),), 3, initial=initial)
    (found,) = run_micro_program(micro, [np.tile(F32(row), 3), None])
    assert np.array_equal(bits(found), bits(np.full(3, expected, F32)))


def test_sum_of_terms_that_depend_on_a_running_maximum():
    """Soft-max in one pass over the row: the terms are sequential, their sum is in groups."""
    extent = 20
    values = np.random.default_rng(2).standard_normal((3, extent)).astype(F32)
    code = (
        MicroOp("maximumf", (0, 1), "f32"),
        MicroOp("subf", (0, 3), "f32"),
        MicroOp("addf", (2, 4), "f32"),
    )
    outputs = (Access(1, 0, (1, 0), -np.inf), Access(2, 0, (1, 0), 0.0))
    slots = (Slot("f32", 60, "in"), Slot("f32", 3, "out"), Slot("f32", 3, "out"))
    nest = Nest((3, extent), (False, True), (Access(0, 0, (20, 1)),), outputs, code, (3, 5))
    top, total = run_micro_program(MicroProgram("online", slots, (nest,)), [values, None, None])
    assert np.array_equal(top, values.max(1))
    running = np.maximum.accumulate(values, axis=1)
    expected = [slow_sum(row, F32(0)) for row in values - running]
    assert np.array_equal(bits(total), bits(np.array(expected)))


def test_running_sum_that_is_stored_is_sequential():
    values = np.random.default_rng(3).standard_normal(50).astype(F32)
    slots = (Slot("f32", 50, "in"), Slot("f32", 1, "inout"), Slot("f32", 50, "out"))
    outputs = (Access(1, 0, (0,)), Access(2, 0, (1,)))
    nest = Nest(
        (50,), (True,), (Access(0, 0, (1,)),), outputs, (MicroOp("addf", (1, 0), "f32"),), (3, 3)
    )
    last, every = run_micro_program(
        MicroProgram("cumulative", slots, (nest,)), [values, [F32(1)], None]
    )
    expected = np.add.accumulate(np.concatenate([F32([1]), values]))[1:]
    assert np.array_equal(bits(every), bits(expected))
    assert last[0] == expected[-1]


def test_temporaries_carry_values_between_nests():
    slots = (Slot("f32", 8, "in"), Slot("f32", 8, "out"), Slot("bf16", 1, "temporary"))
    total = Nest(
        (8,),
        (True,),
        (Access(0, 0, (1,)),),
        (Access(2, 0, (0,), 0),),
        (MicroOp("truncf", (0,), "bf16"), MicroOp("addf", (2, 1), "bf16")),
        (3,),
    )
    spread = Nest(
        (8,),
        (False,),
        (Access(0, 0, (1,)), Access(2, 0, (0,))),
        (Access(1, 0, (1,)),),
        (MicroOp("extf", (1,), "f32"), MicroOp("divf", (0, 3), "f32")),
        (4,),
    )
    values = np.arange(8, dtype=F32)
    (found,) = run_micro_program(MicroProgram("mean", slots, (total, spread)), [values, None])
    assert np.array_equal(found, values / F32(28))


def test_outputs_over_inputs_are_read_before_they_are_written():
    """Two outputs exchange two slots."""
    slots = (Slot("f32", 4, "inout"), Slot("f32", 4, "inout"))
    both = (Access(0, 0, (1,)), Access(1, 0, (1,)))
    nest = Nest((4,), (False,), both, both, (), (1, 0))
    first, second = run_micro_program(
        MicroProgram("swap", slots, (nest,)), [np.arange(4), np.arange(4) + 10]
    )
    assert first.tolist() == [10, 11, 12, 13]
    assert second.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("origin", "first"), [(0, 0), (13, 0), (27, 1)])
@pytest.mark.parametrize("command", [Vector, AdamRows, SgdRows])
def test_index_counts_in_the_whole_operation(origin, first, command):
    """Rows of a [.., 4, 3] operation: the last dimension starts at (origin // 5) % 2, one at 0."""
    code = (
        MicroOp("index", (), "i64", 0),
        MicroOp("index", (), "i64", 1),
        MicroOp("constant", (), "i64", 100),
        MicroOp("muli", (2, 3), "i64"),
        MicroOp("addi", (1, 4), "i64"),
    )
    nest = Nest((4, 3), (False, False), (), (Access(0, 0, (3, 1)),), code, (5,), ((1, 1), (5, 2)))
    micro = MicroProgram("index", (Slot("i64", 12, "out"),), (nest,))
    (found,) = run_micro_program(micro, [None], command, origin)
    expected = np.arange(4)[:, None] + 100 * (np.arange(3) + first)
    assert np.array_equal(found, expected.ravel())


@pytest.mark.parametrize("dtype", ["f32", "bf16", "i1"])
def test_extract_picks_from_a_whole_slot(dtype):
    slots = (Slot("i64", 3, "in"), Slot(dtype, 10, "in"), Slot(dtype, 3, "out"))
    nest = Nest(
        (3,),
        (False,),
        (Access(0, 0, (1,)),),
        (Access(2, 0, (1,)),),
        (MicroOp("extract", (0,), dtype, 1),),
        (2,),
    )
    table = np.arange(10) % 2 if dtype == "i1" else np.arange(10) * 0.5
    (found,) = run_micro_program(MicroProgram("pick", slots, (nest,)), [[7, 0, 7], table, None])
    assert np.array_equal(found, table[[7, 0, 7]])
