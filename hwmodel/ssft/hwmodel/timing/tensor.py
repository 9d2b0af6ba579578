"""Cycles of the tensor unit for `batch` products ``[m, k] [k, n]``, by engine."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.timing.systolic import output_stationary_gemm, weight_stationary_gemm

if TYPE_CHECKING:
    from ssft.hwmodel.config.schema import Baseline, Tensor
    from ssft.hwmodel.isa.program import Phase

ACCUMULATOR_BYTES = 4


@lru_cache(maxsize=1 << 16)
def dot_lane_cycles(
    batch: int,
    m: int,
    n: int,
    k: int,
    tile_rows: int,
    tile_columns: int,
    lanes: int,
    macs_per_lane: int,
    fill: int,
    drain: int,
) -> int:
    """Cycles on `lanes` lanes, each of which adds `macs_per_lane` products per cycle.

    A lane computes a block of ``[tile_rows, tile_columns]`` results at a time, a group of
    `macs_per_lane` terms of one of them per cycle. Blocks and groups at the edge take as long as
    whole ones. All lanes start a round of blocks together; between rounds nothing is lost, because
    accumulators have two banks.
    """
    if not (batch and m and n and k):
        return 0
    tiles = batch * -(-m // tile_rows) * -(-n // tile_columns)
    rounds = -(-tiles // lanes)
    return fill + rounds * -(-k // macs_per_lane) * tile_rows * tile_columns + drain


def gemm_cycles(
    tensor: Tensor, batch: int, m: int, n: int, k: int, lane_tile: tuple[int, int] = (4, 8)
) -> int:
    """Cycles that the tensor unit is busy with `batch` products ``[m, k] [k, n]``.

    `lane_tile` is the block of results of a lane; systolic engines do without. Raises MachineError
    if the block does not fit the lane's accumulators.
    """
    if tensor.engine != "dot_lanes":
        rows, columns = _extents(tensor)
        ws = tensor.engine == "systolic_ws"
        gemm = weight_stationary_gemm if ws else output_stationary_gemm
        return gemm(rows, columns, batch, m, n, k)
    tile_rows, tile_columns = lane_tile
    if tile_rows * tile_columns > lane_accumulators(tensor):
        raise MachineError(
            f"a lane tile of {tile_rows} x {tile_columns} results does not fit a lane's "
            f"{lane_accumulators(tensor)} accumulators",
            ["tensor.accumulator_bytes_per_pe is shared by the PE's lanes, 4 bytes a result"],
        )
    return dot_lane_cycles(
        batch,
        m,
        n,
        k,
        tile_rows,
        tile_columns,
        tensor.pes * tensor.lanes_per_pe,
        tensor.macs_per_lane,
        tensor.fill_cycles,
        tensor.drain_cycles,
    )


def lane_accumulators(tensor: Tensor) -> int:
    """Results that a lane can sum at a time: the largest lane tile."""
    return tensor.accumulator_bytes_per_pe // tensor.lanes_per_pe // ACCUMULATOR_BYTES


def executed_fraction(baseline: Baseline | None, phase: Phase) -> float:
    """Fraction of a GEMM's multiply-adds that a baseline does, for cycles and energy alike.

    1 for machines without a baseline's sparsity. AccelTran and TransCODE skip multiply-adds of zero
    activations in the forward pass and of zero gradients in both backward passes.
    """
    if baseline is None or not baseline.enabled:
        return 1.0
    forward = phase == "forward"
    return 1.0 - (baseline.activation_sparsity if forward else baseline.gradient_sparsity)


def _extents(tensor: Tensor) -> tuple[int, int]:
    if tensor.rows is None or tensor.columns is None:
        raise MachineError(f"engine {tensor.engine} needs tensor.rows and tensor.columns")
    return tensor.rows, tensor.columns
