"""Tilings fit, count their traffic rightly, and use the machine well."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssft.compiler.backends.hw.tiles.cost import gemm_cycles, lane_tile
from ssft.compiler.backends.hw.tiles.search import (
    GemmTiling,
    TilingError,
    search_gemm,
    vector_tile,
)
from ssft.compiler.backends.hw.tiles.space import MATRICES, Operand
from ssft.hwmodel.config import load_machine, preset_names

PRESETS = {name: load_machine(name) for name in preset_names()}
EDGE = PRESETS["ssft-edge"]
A, B, C = Operand(2, "k"), Operand(2, "n"), Operand(4, "n")
KIBIBYTE = 1024

Extents = dict[str, int]


def operands(draw: st.DrawFn) -> tuple[Operand, Operand, Operand]:
    found = [
        Operand(
            element_bytes=draw(st.sampled_from((2, 4))),
            inner=draw(st.sampled_from(tuple(MATRICES[name]))),  # type: ignore
            packed=draw(st.booleans()),
            streamed=draw(st.booleans()),
            batched=name == "c" or draw(st.booleans()),
        )
        for name in "abc"
    ]
    return found[0], found[1], found[2]


@st.composite
def problems(draw: st.DrawFn) -> tuple[Extents, tuple[Operand, Operand, Operand], int, GemmTiling]:
    extents = {"b": draw(st.integers(1, 5))}
    extents |= {name: draw(st.integers(1, 200)) for name in "mnk"}
    chosen = operands(draw)
    budget = draw(st.integers(16, 256)) * KIBIBYTE
    tiling = search_gemm(*extents.values(), *chosen, EDGE, budget)
    return extents, chosen, budget, tiling


def sizes(tiling: GemmTiling) -> Extents:
    return {"b": tiling.tb, "m": tiling.tm, "n": tiling.tn, "k": tiling.tk}


def walk(extents: Extents, tiling: GemmTiling) -> list[Extents]:
    """The tiles' positions, in the order of the loops."""
    order = "b" + tiling.order
    counts = [range(-(-extents[d] // sizes(tiling)[d])) for d in order]
    return [dict(zip(order, at, strict=True)) for at in product(*counts)]


def extent_at(extents: Extents, tiling: GemmTiling, dim: str, position: int) -> int:
    size = sizes(tiling)[dim]
    return min(size, extents[dim] - position * size)


def traffic(extents: Extents, used: tuple[Operand, ...], tiling: GemmTiling) -> int:
    """DRAM bytes of the loop nest, tile by tile: what is not there yet is loaded."""
    total = 0
    for name, operand in zip("abc", used, strict=True):
        if not operand.streamed:
            continue
        dims = MATRICES[name] + "b" * operand.batched
        keys = [tuple(at[d] for d in sorted(dims)) for at in walk(extents, tiling)]
        # A tile of A or B stays until the next one; one of C is stored once, when it is finished.
        changes = [
            at
            for at, key, before in zip(walk(extents, tiling), keys, [None, *keys[:-1]], strict=True)
            if key != before
        ]
        if name == "c":
            changes = list(dict(zip(keys, walk(extents, tiling), strict=True)).values())
        for at in changes:
            elements = math.prod(extent_at(extents, tiling, d, at[d]) for d in dims)
            total += elements * operand.element_bytes
    return total


def spm(extents: Extents, used: tuple[Operand, ...], tiling: GemmTiling) -> int:
    """Scratchpad bytes of the buffers."""
    cut = tiling.tk < extents["k"]
    total = 0
    for name, operand, buffers in zip("abc", used, tiling.buffers, strict=True):
        dims = MATRICES[name] + "b" * operand.batched
        elements = math.prod(sizes(tiling)[d] for d in dims)
        tile = elements * operand.element_bytes * operand.streamed
        if name == "c" and cut and operand.element_bytes < 4:
            converted = (
                -(-2 * tile // tiling.strips) if tiling.strips > 1 else min(buffers, 2) * tile
            )
            total += buffers * elements * 4 + converted
        else:
            total += buffers * tile
    return total


@settings(max_examples=60, deadline=None)
@given(problems())
def test_tilings_fit_and_are_legal(problem) -> None:
    extents, used, budget, tiling = problem
    assert tiling.spm_bytes == spm(extents, used, tiling) <= budget
    assert all(0 < size <= extents[d] for d, size in sizes(tiling).items())
    assert tiling.tk == extents["k"] or tiling.tk % 16 == 0
    assert sorted(tiling.order) == ["k", "m", "n"]
    assert tiling.lane_tile == lane_tile(EDGE, tiling.tb, tiling.tm, tiling.tn)


@settings(max_examples=60, deadline=None)
@given(problems())
def test_traffic_is_that_of_the_loops(problem) -> None:
    """Edge tiles are averaged: what is read several times may be off by a tile's share."""
    extents, used, _, tiling = problem
    expected = traffic(extents, used, tiling)
    even = all(extents[d] % size == 0 for d, size in sizes(tiling).items())
    assert tiling.est_dram_bytes == pytest.approx(expected, rel=1e-9 if even else 0.02, abs=1)


@settings(max_examples=60, deadline=None)
@given(problems())
def test_cycles_are_those_of_the_commands_and_no_less_than_the_roofline(problem) -> None:
    extents, _, _, tiling = problem
    expected = sum(
        int(gemm_cycles(EDGE, *(extent_at(extents, tiling, d, at[d]) for d in "bmnk")))
        + EDGE.command.issue_cycles
        for at in walk(extents, tiling)
    )
    assert tiling.est_compute_cycles == expected
    peak = EDGE.dram.bandwidth / EDGE.clock.frequency
    assert tiling.est_compute_cycles >= math.prod(extents.values()) / EDGE.peak_macs_per_cycle
    assert tiling.est_dma_cycles >= math.floor(tiling.est_dram_bytes / peak)
    assert tiling.est_cycles >= max(tiling.est_compute_cycles, tiling.est_dma_cycles) - 1


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("extent", [1024, 2048, 4096])
def test_products_in_the_scratchpad_use_the_tensor_unit_well(name: str, extent: int) -> None:
    machine = PRESETS[name]
    inside = [replace(operand, streamed=False) for operand in (A, B, C)]
    a, b, c = inside
    tiling = search_gemm(1, extent, extent, extent, a, b, c, machine, 0)
    assert tiling.spm_bytes == tiling.est_dram_bytes == 0
    assert extent**3 / machine.peak_macs_per_cycle >= 0.85 * tiling.est_cycles


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("extent", [2048, 4096])
def test_streamed_products_keep_the_busier_unit_busy(name: str, extent: int) -> None:
    """Compute at 85 % where DRAM permits; elsewhere DRAM never waits for long."""
    machine = PRESETS[name]
    tiling = search_gemm(1, extent, extent, extent, A, B, C, machine, machine.scratchpad.bytes // 2)
    ideal = extent**3 / machine.peak_macs_per_cycle
    assert max(ideal, tiling.est_dma_cycles) >= 0.85 * tiling.est_cycles


def test_a_large_scratchpad_needs_each_byte_once() -> None:
    machine = PRESETS["ssft-server"]
    tiling = search_gemm(1, 2048, 2048, 2048, A, B, C, machine, machine.scratchpad.bytes // 2)
    assert tiling.est_dram_bytes == 2048 * 2048 * (2 + 2 + 4)


def test_more_room_is_never_worse() -> None:
    cycles = [
        search_gemm(1, 512, 512, 512, A, B, C, EDGE, budget * KIBIBYTE).est_cycles
        for budget in (64, 128, 256, 512)
    ]
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[-1] < cycles[0]


def test_allowed_sizes_are_kept_to() -> None:
    allowed = (None, (48, 96), None, (24, 32))
    tiling = search_gemm(1, 96, 64, 96, A, B, C, EDGE, 64 * KIBIBYTE, allowed)
    assert tiling.tm in (48, 96)
    assert tiling.tk == 32  # 24 would cut a group of products


def test_a_batch_of_small_products_shares_a_command() -> None:
    tiling = search_gemm(64, 32, 32, 16, A, B, C, EDGE, 512 * KIBIBYTE)
    assert tiling.tb > 1
    assert (tiling.tm, tiling.tn, tiling.tk) == (32, 32, 16)


def test_results_are_remembered() -> None:
    arguments = (1, 96, 64, 96, A, B, C, EDGE, 64 * KIBIBYTE)
    assert search_gemm(*arguments) is search_gemm(*arguments)


def test_too_little_room_is_an_error_that_says_how_much_is_needed() -> None:
    with pytest.raises(TilingError) as caught:
        search_gemm(1, 512, 512, 512, A, B, C, EDGE, 1000)
    assert caught.value.budget == 1000 < caught.value.needed
    assert search_gemm(1, 512, 512, 512, A, B, C, EDGE, caught.value.needed)


@given(
    st.integers(1, 5000),
    st.integers(0, 4096),
    st.integers(0, 4096),
    st.integers(0, 1024),
    st.floats(0, 100),
)
def test_row_tiles_fit(rows: int, load: int, store: int, local: int, cycles: float) -> None:
    found = vector_tile(rows, load, store, local, 128, cycles, EDGE, 64 * KIBIBYTE)
    taken = found.rows * (found.buffers * (load + store) + local) + 128
    assert found.spm_bytes == taken <= 64 * KIBIBYTE
    assert 0 < found.rows <= rows
    assert found.buffers == (2 if found.rows < rows else 1)


def test_row_tiles_overlap_transfers_with_work() -> None:
    """All of it fits, and yet it is cut: loads of the next tile run while this one computes."""
    found = vector_tile(4096, 64, 64, 0, 0, 2.0, EDGE, 1 << 30)
    assert found.rows < 4096


def test_allowed_row_tiles_are_kept_to() -> None:
    assert vector_tile(96, 64, 64, 0, 0, 1.0, EDGE, 1 << 30, (6, 7)).rows in (6, 7)
    with pytest.raises(TilingError):
        vector_tile(96, 1024, 1024, 0, 0, 1.0, EDGE, 4095)
