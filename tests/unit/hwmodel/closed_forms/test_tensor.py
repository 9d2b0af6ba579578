"""Cycles of matrix products: values that others measured, and properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssft.hwmodel.config import load_machine
from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.timing import scalesim, systolic
from ssft.hwmodel.timing.tensor import executed_fraction, gemm_cycles, lane_accumulators

SERVER = load_machine("ssft-server")
EDGE = load_machine("ssft-edge")


def array(engine: str, rows: int, columns: int):
    settings = [f"tensor.engine={engine}", f"tensor.rows={rows}", f"tensor.columns={columns}"]
    return load_machine("ssft-server", settings)


MACHINES = [SERVER, EDGE, array("systolic_ws", 32, 16), array("systolic_os", 32, 16)]
extents = st.integers(1, 600)
shapes = st.tuples(st.integers(1, 12), extents, extents, extents)


@pytest.mark.parametrize(
    ("m", "n", "k", "os", "ws", "ours"),
    [
        (512, 512, 512, 12_255, 14_303, 8_574),
        (512, 1024, 1024, 40_895, 57_215, 33_150),
        (512, 4096, 4096, 556_799, 915_455, 524_670),
    ],
)
def test_scale_sim(m: int, n: int, k: int, os: int, ws: int, ours: int):
    assert scalesim.output_stationary_cycles(128, 128, m, n, k) == os
    assert scalesim.weight_stationary_cycles(128, 128, m, n, k) == ws
    assert gemm_cycles(array("systolic_ws", 128, 128).tensor, 1, m, n, k) == ours


def test_scale_sim_on_its_own_test_case():
    assert scalesim.output_stationary_cycles(32, 32, 256, 256, 256) == 64 * (256 + 62) - 1
    assert scalesim.output_stationary_cycles(128, 128, 256, 256, 256) == 2039


@pytest.mark.parametrize(
    ("size", "tiles", "m", "cycles"),
    [(16, 8, 64, 558), (16, 8, 16, 174), (16, 8, 17, 182), (16, 8, 18, 190), (16, 8, 20, 206),
     (64, 4, 512, 2238), (64, 4, 64, 446)],
)  # fmt: skip
def test_weight_stationary_as_simulated(size: int, tiles: int, m: int, cycles: int):
    assert systolic.weight_stationary_cycles(size, size, tiles, m) == cycles


def test_one_bank_of_weights_costs_a_load_per_tile():
    """The second bank is the difference to SCALE-Sim: with one tile there is none but its -1."""
    assert systolic.weight_stationary_cycles(8, 8, 1, 40) == (
        scalesim.weight_stationary_cycles(8, 8, 40, 8, 8) + 1
    )


@pytest.mark.parametrize(
    ("batch", "m", "n", "k", "rounds", "groups"),
    [
        (1, 4, 8, 16, 1, 1),
        (1, 4, 8, 17, 1, 2),
        (1, 4096, 4096, 4096, 32, 256),
        (16384, 4, 8, 16, 1, 1),
        (16385, 4, 8, 16, 2, 1),
        (1, 5, 9, 1, 1, 1),
    ],
)
def test_dot_lanes(batch: int, m: int, n: int, k: int, rounds: int, groups: int):
    cycles = gemm_cycles(SERVER.tensor, batch, m, n, k, (4, 8))
    assert cycles == 16 + rounds * groups * 32 + 32


def test_a_large_product_uses_nearly_all_of_the_machine():
    cycles = gemm_cycles(SERVER.tensor, 1, 4096, 4096, 4096)
    assert 4096**3 / SERVER.peak_macs_per_cycle / cycles > 0.999


def test_lane_tile_must_fit_the_accumulators():
    assert lane_accumulators(SERVER.tensor) == 32
    assert lane_accumulators(EDGE.tensor) == 64
    gemm_cycles(EDGE.tensor, 1, 8, 8, 8, (8, 8))
    with pytest.raises(MachineError, match="8 x 8 results does not fit a lane's 32 accumulators"):
        gemm_cycles(SERVER.tensor, 1, 8, 8, 8, (8, 8))


@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: m.tensor.engine)
@pytest.mark.parametrize("empty", range(4))
def test_an_empty_product_takes_no_time(machine, empty: int):
    shape = [3, 3, 3, 3]
    shape[empty] = 0
    assert gemm_cycles(machine.tensor, *shape) == 0


@given(machine=st.sampled_from(MACHINES), shape=shapes)
def test_peak_is_never_beaten(machine, shape: tuple[int, int, int, int]):
    batch, m, n, k = shape
    assert gemm_cycles(machine.tensor, *shape) * machine.peak_macs_per_cycle >= batch * m * n * k


@given(machine=st.sampled_from(MACHINES), shape=shapes, axis=st.integers(0, 3), more=extents)
def test_larger_products_take_no_less_time(machine, shape, axis: int, more: int):
    larger = [extent + more * (i == axis) for i, extent in enumerate(shape)]
    assert gemm_cycles(machine.tensor, *shape) <= gemm_cycles(machine.tensor, *larger)


@given(shape=shapes, pes=st.integers(1, 600), more=st.integers(1, 600))
def test_more_pes_take_no_more_time(shape, pes: int, more: int):
    few = SERVER.tensor.model_copy(update={"pes": pes})
    many = SERVER.tensor.model_copy(update={"pes": pes + more})
    assert gemm_cycles(many, *shape) <= gemm_cycles(few, *shape)


@given(shape=shapes)
def test_blocks_of_k_add_up(shape: tuple[int, int, int, int]):
    """Cutting k at a multiple of the group costs a fill and a drain, and nothing else."""
    batch, m, n, k = shape
    whole = gemm_cycles(SERVER.tensor, batch, m, n, k + 160)
    parts = gemm_cycles(SERVER.tensor, batch, m, n, 160) + gemm_cycles(SERVER.tensor, *shape)
    assert parts == whole + SERVER.tensor.fill_cycles + SERVER.tensor.drain_cycles


def test_baseline_sparsity():
    machine = load_machine("transcode-server", ["baseline.enabled=true"])
    phases = ("forward", "input_gradient", "weight_gradient")
    fractions = [executed_fraction(machine.baseline, phase) for phase in phases]
    assert sum(fractions) == pytest.approx(0.7)
    off = load_machine("transcode-server").baseline
    assert {executed_fraction(b, phase) for b in (off, None) for phase in phases} == {1.0}
