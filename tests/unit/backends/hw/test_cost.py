"""The compiler's estimates agree with the machine model's closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssft.compiler.backends.hw.tiles import cost
from ssft.hwmodel.config import Machine, load_machine, preset_names
from ssft.hwmodel.isa import Access, MicroOp, MicroProgram, Nest, Slot
from ssft.hwmodel.timing import dma, tensor, vector

ARRAY = ("tensor.rows=8", "tensor.columns=12")
MACHINES = {name: load_machine(name) for name in preset_names()} | {
    engine: load_machine("ssft-edge", overrides=[f"tensor.engine={engine}", *ARRAY])
    for engine in ("systolic_ws", "systolic_os")
}
EXTENT = st.integers(1, 300)
machines = st.sampled_from(sorted(MACHINES)).map(MACHINES.__getitem__)


@given(machines, st.integers(1, 9), EXTENT, EXTENT, EXTENT)
def test_gemm_takes_what_the_tensor_unit_takes(
    machine: Machine, batch: int, m: int, n: int, k: int
) -> None:
    block = cost.lane_tile(machine, batch, m, n)
    expected = tensor.gemm_cycles(machine.tensor, batch, m, n, k, block)
    assert cost.gemm_cycles(machine, batch, m, n, k) == expected
    assert cost.gemm_cycles(machine, batch, m, n, k, block) == expected


@given(machines, st.integers(1, 9), EXTENT, EXTENT)
def test_lane_tile_is_almost_the_fastest_and_reads_little(
    machine: Machine, batch: int, m: int, n: int
) -> None:
    def work(block: tuple[int, int]) -> int:
        tiles = batch * -(-m // block[0]) * -(-n // block[1])
        lanes = machine.tensor.pes * machine.tensor.lanes_per_pe
        return -(-tiles // lanes) * block[0] * block[1]

    blocks = cost.lane_tiles(machine)
    assert all(r * c <= tensor.lane_accumulators(machine.tensor) for r, c in blocks)
    chosen = cost.lane_tile(machine, batch, m, n)
    limit = min(map(work, blocks)) * (1 + cost.LANE_SLACK)
    assert work(chosen) <= limit
    reads = {block: 1 / block[0] + 1 / block[1] for block in blocks if work(block) <= limit}
    assert reads[chosen] == min(reads.values())
    assert cost.lane_reads(machine, batch, m, n) == pytest.approx(reads[chosen])


def test_extents_broadcast() -> None:
    machine = MACHINES["ssft-server"]
    m, n = np.array([64, 100, 512])[:, None], np.array([32, 48])
    found = cost.gemm_cycles(machine, 1, m, n, 160)
    assert found.tolist() == [
        [int(cost.gemm_cycles(machine, 1, i, j, 160)) for j in (32, 48)] for i in (64, 100, 512)
    ]


@given(machines, st.integers(1, 500), st.integers(1, 9000), st.integers(0, 9000))
def test_copies_take_what_dma_takes(machine: Machine, rows: int, size: int, gap: int) -> None:
    transfer = dma.strided(machine.dram, rows, size, size + gap)
    expected = dma.transfer_cycles(machine, transfer)
    found = cost.rows_cycles(machine, rows, size, size + gap)
    # Bursts that neighbours share are counted on average, as if rows went on for ever.
    together = rows > 1 and 0 < gap < machine.dram.page_bytes - size
    assert found == pytest.approx(expected, abs=1 + together * (1 + expected / rows))


@given(machines, st.integers(0, 500), st.integers(0, 9000), st.booleans())
def test_gathers_take_what_dma_takes(
    machine: Machine, count: int, size: int, ascending: bool
) -> None:
    transfer = dma.gather_rows(machine.dram, count, size, ascending=ascending)
    expected = dma.transfer_cycles(machine, transfer)
    found = cost.gather_cycles(machine, count, size, ascending=ascending)
    assert found == pytest.approx(expected, abs=1)


@given(machines, st.integers(1, 300), st.integers(1, 200), st.sampled_from((2, 4)))
def test_columns_take_what_dma_takes(machine: Machine, rows: int, count: int, element: int) -> None:
    transfer = dma.gather_columns(machine.dram, rows, count, element, 1024 * element)
    found = cost.columns_cycles(machine, rows, count, element, 1024 * element)
    # Expected numbers of bursts and pages are rounded up after other roundings.
    assert found == pytest.approx(dma.transfer_cycles(machine, transfer), rel=0.01, abs=1)


def test_selecting_columns_costs_more_than_selecting_rows() -> None:
    machine = MACHINES["ssft-server"]
    rows = cost.gather_cycles(machine, 204, 8192)
    assert cost.columns_cycles(machine, 4096, 204, 2, 8192) > 10 * rows


def test_no_bytes_take_no_time() -> None:
    machine = MACHINES["ssft-edge"]
    assert cost.rows_cycles(machine, 0, 64, 64) == cost.rows_cycles(machine, 4, 0, 64) == 0
    assert cost.columns_cycles(machine, 4, 0, 2, 64) == cost.gather_cycles(machine, 0, 64) == 0


def program(names: list[str], extents: tuple[int, ...]) -> MicroProgram:
    size = math.prod(extents)
    code = tuple(MicroOp(name, (0, 0), "f64" if name == "addf" else "f32") for name in names)
    access = Access(0, 0, (1,) * len(extents))
    nest = Nest(extents, (False,) * len(extents), (access,), (access,), code, (0,))
    return MicroProgram("elementwise", (Slot("f32", size, "inout"),), (nest, nest))


@given(
    machines,
    st.lists(st.sampled_from(["addf", "mulf", "exp", "divf", "rsqrt", "index"]), max_size=9),
    st.lists(st.integers(1, 200), min_size=1, max_size=3),
)
def test_micro_programs_take_what_the_vector_unit_takes(
    machine: Machine, names: list[str], extents: list[int]
) -> None:
    made = program(names, tuple(extents))
    assert cost.vector_cycles(machine, made) == vector.program_cycles(machine.vector, made)
    size = math.prod(extents)
    assert cost.update_cycles(machine, size) == vector.update_cycles(machine.update, made)
    assert cost.index_cycles(machine, size) == vector.scan_cycles(machine.index, size)
    top_k = cost.index_cycles(machine, size, cost.TOP_K_PASSES)
    assert top_k == vector.top_k_cycles(machine.index, size)
    added = cost.scatter_add_cycles(machine, extents[0], size)
    assert added == vector.scatter_add_cycles(machine.vector, extents[0], size)
