"""The event simulation equals closed forms on regular load-compute-store pipelines, exactly.

n tiles are loaded (L cycles of transfer), computed (C) and stored (S), with two buffers on each
side, or one. I is the issue of a command, X the DRAM's latency.
"""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ssft.hwmodel import isa
from ssft.hwmodel.config import Machine, load_machine
from ssft.hwmodel.isa import Contraction, Dim, Program, Queue, SourceOp
from ssft.hwmodel.timing.dma import latency_cycles
from ssft.hwmodel.timing.events import simulate

LOADED, COMPUTED, STORED = 0, 2, 1


def pipeline(tiles: int, buffers: int, tile: tuple[int, int, int], *, stores: bool) -> Program:
    """Loads [m, k] and [k, n] as one block of bytes, multiplies, stores [m, n] of every tile."""
    m, n, k = tile
    dims = (Dim("m", m, k, 0, n), Dim("n", n, 0, 1, 1), Dim("k", k, 1, n, 0))
    program = Program("any", "bf16", contractions=[Contraction(dims)])
    program.operations = [SourceOp("pipeline", "gemm", "forward")]
    queues = program.queues
    for i in range(tiles):
        freed = i - buffers + 1
        reuse = {} if freed < 1 else {"wait": COMPUTED, "wait_value": freed}
        queues[Queue.DMA_IN].append(
            isa.Load2D(
                dram=0, spm=0, rows=m + n, row_bytes=4 * k, pitch=4 * k, post=LOADED, **reuse
            )
        )
        if stores and freed >= 1:
            queues[Queue.TENSOR].append(isa.Wait(wait=STORED, wait_value=freed))
        queues[Queue.TENSOR].append(
            isa.Gemm(a=0, b=0, c=0, shape=0, wait=LOADED, wait_value=i + 1, post=COMPUTED)
        )
        if stores or i == tiles - 1:
            queues[Queue.DMA_OUT].append(
                isa.Store2D(dram=0, spm=0, rows=m, row_bytes=4 * n, pitch=4 * n, post=STORED,
                            wait=COMPUTED, wait_value=i + 1)
            )  # fmt: skip
    return program


def run(program: Program, machine: Machine) -> tuple[int, dict[str, int]]:
    """Cycles of a pipeline, and its parameters by the letters of the closed forms."""
    s = simulate(program, machine)
    first = {queue: int(s.work[s.of(queue)][0]) for queue in (Queue.DMA_IN, Queue.DMA_OUT)}
    gemms = s.work[s.of(Queue.TENSOR)]
    return s.cycles, {
        "L": first[Queue.DMA_IN],
        "C": int(gemms[gemms > 0][0]),
        "S": first[Queue.DMA_OUT],
        "I": s.issue_cycles,
        "X": latency_cycles(machine),
    }


PRESETS = st.sampled_from(["ssft-server", "ssft-a100area", "ssft-edge", "transcode-server"])
EXTENT = st.integers(1, 512)


@settings(max_examples=60, deadline=None)
@given(PRESETS, st.integers(1, 12), EXTENT, EXTENT, st.integers(1, 20000))
def test_compute_bound(preset: str, tiles: int, m: int, n: int, k: int):
    """The tensor unit never stops; a `Wait` goes before each product once buffers are reused.

    T = I + L + X + n C + (issues between products) + S + X.
    """
    machine = load_machine(preset, ["dram.bandwidth=50TB/s"])
    cycles, p = run(pipeline(tiles, 2, (m, n, k), stores=True), machine)
    # Between two products a load and a store go by, sharing bandwidth, and the latency passes.
    assume(p["L"] + p["S"] + p["X"] + p["I"] <= p["C"])
    waits = max(0, tiles - 2)
    compute = tiles * p["C"] + (tiles - 1 + waits) * p["I"]
    assert cycles == p["I"] + p["L"] + p["X"] + compute + p["S"] + p["X"]


@settings(max_examples=60, deadline=None)
@given(PRESETS, st.integers(1, 12), EXTENT, EXTENT, EXTENT)
def test_load_bound(preset: str, tiles: int, m: int, n: int, k: int):
    """Loads follow each other without a gap: T = n (I + L) + X + C + S + X."""
    machine = load_machine(preset, ["dram.bandwidth=1GB/s", "dram.latency=5e-8"])
    cycles, p = run(pipeline(tiles, 2, (m, n, k), stores=False), machine)
    assume(p["C"] + p["X"] <= p["L"])
    assert cycles == tiles * (p["I"] + p["L"]) + p["X"] + p["C"] + p["S"] + p["X"]


@settings(max_examples=100, deadline=None)
@given(PRESETS, st.integers(1, 12), EXTENT, EXTENT, EXTENT)
def test_single_buffers(preset: str, tiles: int, m: int, n: int, k: int):
    """Nothing overlaps but the load of a tile with the store of the tile before.

    The two share bandwidth: together they take L + S, and the shorter one twice its own time. The
    next product needs both; its `Wait` for the store comes first, so its issue follows that.
    T = I + L + X + C + (n - 1) (max(load, store + I) + X + C) + S + X.
    """
    machine = load_machine(preset)
    cycles, p = run(pipeline(tiles, 1, (m, n, k), stores=True), machine)
    assume(2 * p["I"] <= p["L"] + p["S"] + p["X"])
    # The load completes L + S or 2 L after the product before, the store at the other of the two.
    load = p["L"] + p["S"] if p["L"] >= p["S"] else 2 * p["L"]
    store = p["L"] + p["S"] if p["S"] >= p["L"] else 2 * p["S"]
    step = max(load, store + p["I"]) + p["X"] + p["C"]
    first = p["I"] + p["L"] + p["X"] + p["C"]
    assert cycles == first + (tiles - 1) * step + p["S"] + p["X"]


def test_cases_are_not_all_assumed_away():
    """The regimes exist on a real preset, so that the properties above say something."""
    machine = load_machine("ssft-server")
    cycles, p = run(pipeline(8, 2, (512, 512, 4096), stores=False), machine)
    assert p["C"] + p["X"] <= p["L"]
    assert cycles == 8 * (p["I"] + p["L"]) + 2 * p["X"] + p["C"] + p["S"]


@pytest.mark.parametrize("buffers", [1, 2, 3])
def test_more_buffers_never_hurt(buffers: int):
    machine = load_machine("ssft-server")
    tile = (256, 512, 1024)
    fewer = simulate(pipeline(10, buffers, tile, stores=True), machine).cycles
    more = simulate(pipeline(10, buffers + 1, tile, stores=True), machine).cycles
    assert more <= fewer
