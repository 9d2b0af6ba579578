"""Counts of single commands, worked out by hand."""

from __future__ import annotations

import pytest

from ssft.hwmodel import isa
from ssft.hwmodel.config import Machine, load_machine
from ssft.hwmodel.isa import Access, Contraction, Dim, MicroOp, MicroProgram, Nest, Program, Slot
from ssft.hwmodel.timing.durations import command_cycles
from ssft.hwmodel.timing.scratchpad import block
from ssft.hwmodel.timing.work import Work, command_work


@pytest.fixture(scope="module")
def machine() -> Machine:
    return load_machine("ssft-server")


def work(machine: Machine, command: isa.Command, **tables: list) -> Work:
    return command_work(Program("any", "bf16", **tables), machine, command, "forward")


def product(m: int, n: int, k: int, batch: int = 1, **more) -> Contraction:
    dims = (Dim("batch", batch, 1, 1, 1), Dim("m", m, k, 0, n), Dim("n", n, 0, 1, 1),
            Dim("k", k, 1, n, 0))  # fmt: skip
    return Contraction(dims, **more)


def gemm(**fields: int) -> isa.Gemm:
    return isa.Gemm(a=0, b=0, c=0, shape=0, **fields)


def test_the_block_of_a_pe_is_as_square_as_it_gets(machine: Machine):
    # 32 lanes are 4 x 8; of 4 x 8 results each, 8 lanes down and 4 across make 32 x 32.
    assert block(product(64, 64, 64), machine) == (32, 32)
    assert block(product(64, 64, 64, lane_tile=(4, 4)), machine) in ((16, 32), (32, 16))


def test_operands_are_read_once_per_block(machine: Machine):
    shape = product(64, 96, 40, a_dtype="bf16", b_dtype="f32", c_dtype="f32")
    found = work(machine, gemm(), contractions=[shape])
    assert found.spm_read_bytes == 64 * 40 * 2 * 3 + 40 * 96 * 4 * 2
    assert found.spm_written_bytes == 64 * 96 * 4
    assert found.bf16_macs == 64 * 96 * 40
    # k is filled up to 48.
    assert found.padded_macs == 64 * 96 * 8


def test_accumulating_reads_the_result_and_a_list_is_read(machine: Machine):
    shape = product(32, 32, 16, batch=3, multiply="f32", indexed=1)
    plain = work(machine, gemm(), contractions=[shape])
    full = work(machine, gemm(accumulate=1, index=128), contractions=[shape])
    assert full.spm_read_bytes - plain.spm_read_bytes == 3 * 32 * 32 * 4 + 32 * 8
    assert (full.list_entries, plain.list_entries) == (32, 0)
    assert (plain.f32_macs, plain.bf16_macs) == (3 * 32 * 32 * 16, 0)


@pytest.mark.parametrize(
    ("engine", "reads", "padded"),
    [("systolic_os", 20 * 24 * 2 * 3 + 24 * 40 * 2 * 2, 32 * 48 * 24),
     ("systolic_ws", 20 * 24 * 2 * 3 + 24 * 40 * 2, 20 * 48 * 32)],
)  # fmt: skip
def test_systolic_arrays_pass_operands_on(engine: str, reads: int, padded: int):
    array = load_machine(
        "ssft-server", [f"tensor.engine={engine}", "tensor.rows=16", "tensor.columns=16"]
    )
    shape = product(20, 40, 24, a_dtype="bf16", b_dtype="bf16")
    found = work(array, gemm(), contractions=[shape])
    assert found.spm_read_bytes == reads
    assert found.padded_macs == padded - 20 * 40 * 24


def test_a_baselines_sparsity_skips_macs_and_cycles():
    dense = load_machine("transcode-server")
    sparse = load_machine("transcode-server", ["baseline.enabled=true"])
    program = Program("any", "bf16", contractions=[product(1024, 1024, 1024)])
    for phase, fraction in (("forward", 0.5), ("input_gradient", 0.1), ("weight_gradient", 0.1)):
        found = command_work(program, sparse, gemm(), phase)
        assert found.bf16_macs == pytest.approx(fraction * 1024**3, abs=1)
        assert found.bf16_macs + found.skipped_macs == 1024**3
        ratio = command_cycles(program, sparse, gemm(), phase) / command_cycles(
            program, dense, gemm(), phase
        )
        assert ratio == pytest.approx(fraction, abs=1e-3)


def nest(inputs: tuple, outputs: tuple, code: tuple, results: tuple, reduction=(False, False)):
    return Nest((3, 5), reduction, inputs, outputs, code, results)


ROW, COLUMN, BOTH = (1, 0), (0, 1), (5, 1)
SLOTS = (Slot("f32", 15, "in"), Slot("bf16", 5, "in"), Slot("f32", 3, "out"),
         Slot("f32", 15, "temporary"))  # fmt: skip
VECTOR = isa.Vector(program=0, arguments=0)


def test_a_nest_reads_what_moves(machine: Machine):
    """Operand 0 moves always; 1 is read again for every row."""
    add = (MicroOp("addf", (0, 1), "f32"), MicroOp("exp", (3,), "f32"))
    program = MicroProgram(
        "test", SLOTS, (nest((Access(0, 0, BOTH), Access(1, 0, COLUMN)), (Access(3, 0, BOTH),),
                             add, (4,)),)
    )  # fmt: skip
    found = work(machine, VECTOR, micro_programs=[program])
    assert found.spm_read_bytes == 15 * 4 + 15 * 2
    assert found.spm_written_bytes == 0
    assert found.row_buffer_bytes == 15 * 4
    assert (found.vector_operations, found.special_operations) == (15, 15)


@pytest.mark.parametrize(("initial", "reads"), [(0.0, 0), (None, 3)])
def test_a_reduction_over_the_inner_dimension_keeps_its_sum(
    machine: Machine, initial: float | None, reads: int
):
    out = Access(2, 0, ROW, initial=initial)
    code = (MicroOp("addf", (0, 1), "f32"),)
    summed = nest((Access(0, 0, BOTH),), (out,), code, (2,), (False, True))
    found = work(machine, VECTOR, micro_programs=[MicroProgram("sum", SLOTS, (summed,))])
    assert found.spm_read_bytes == 15 * 4 + reads * 4
    assert found.spm_written_bytes == 3 * 4


def test_a_reduction_over_the_outer_dimension_goes_back_to_its_sums(machine: Machine):
    slots = (Slot("f32", 15, "in"), Slot("f32", 5, "out"))
    code = (MicroOp("addf", (0, 1), "f32"),)
    out = Access(1, 0, COLUMN, initial=0.0)
    summed = nest((Access(0, 0, BOTH),), (out,), code, (2,), (True, False))
    found = work(machine, VECTOR, micro_programs=[MicroProgram("sum", slots, (summed,))])
    assert found.spm_read_bytes == 15 * 4 + (15 - 5) * 4
    assert found.spm_written_bytes == 15 * 4


def test_wide_operations_count_twice_and_constants_not_at_all(machine: Machine):
    slots = (Slot("f64", 15, "in"), Slot("i1", 15, "out"))
    code = (MicroOp("constant", (), "f64", 0.0), MicroOp("cmpf", (0, 2), "i1", "ogt"))
    compared = nest((Access(0, 0, BOTH),), (Access(1, 0, BOTH),), code, (3,))
    found = work(machine, VECTOR, micro_programs=[MicroProgram("gt", slots, (compared,))])
    assert found.vector_operations == 30
    assert (found.spm_read_bytes, found.spm_written_bytes) == (120, 15)


def test_updates_count_rows_and_elements(machine: Machine):
    code = (MicroOp("mulf", (0, 0), "f32"),)
    step = nest((Access(0, 0, BOTH),), (Access(3, 0, BOTH),), code, (2,))
    tables = {"micro_programs": [MicroProgram("adam", SLOTS, (step,))]}
    found = work(machine, isa.AdamRows(program=0, arguments=0), **tables)
    assert (found.rows_updated, found.elements_updated) == (3, 15)
    assert work(machine, VECTOR, **tables).rows_updated == 0


def test_index_commands_scan(machine: Machine):
    scored = work(machine, isa.AccumulateScore(gradient=0, score=0, elements=100))
    assert (scored.spm_read_bytes, scored.spm_written_bytes) == (800, 400)
    counted = work(machine, isa.CountRowsColumns(score=0, counts=0, rows=4, columns=6, threshold=0,
                                                 by_column=1))  # fmt: skip
    assert (counted.spm_read_bytes, counted.spm_written_bytes) == (96, 24)
    top = work(machine, isa.TopK(values=0, index=0, count=100, k=7))
    assert (top.spm_written_bytes, top.list_entries) == (56, 7)
