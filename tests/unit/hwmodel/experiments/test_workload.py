"""The experiments' programs compute a linear layer's step: run on the functional machine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ssft.hwmodel.config import Machine, load_machine
from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.experiments.layer import MASKS, LinearLayer, select
from ssft.hwmodel.experiments.optimizer import BETA1, BETA2, DECAY, EPSILON, LEARNING_RATE
from ssft.hwmodel.experiments.workload import layer_program
from ssft.hwmodel.isa import Gemm, Program, Queue
from ssft.hwmodel.isa.check import check
from ssft.hwmodel.machine import FunctionalMachine
from ssft.hwmodel.timing.events import simulate

LAYER = LinearLayer(tokens=96, outputs=48, inputs=80)


def machine(scratchpad: int = 64 << 10) -> Machine:
    return load_machine("ssft-edge", [f"scratchpad.bytes={scratchpad}"])


def bf16(array: np.ndarray) -> np.ndarray:
    """Rounded to nearest even."""
    bits = array.astype(np.float32).view(np.uint32)
    rounded = bits + 0x7FFF + ((bits >> 16) & 1)
    return (rounded & 0xFFFF0000).astype(np.uint32).view(np.float32)


def chosen(mask: str, density: float, rng: np.random.Generator) -> tuple[np.ndarray, Any]:
    """What trains, as a boolean matrix [outputs, inputs], and the rows or columns."""
    selection = select(LAYER, mask, density)  # type: ignore[arg-type]
    trains = np.zeros((LAYER.outputs, LAYER.inputs), bool)
    if selection.unstructured:
        per_row = selection.elements // selection.rows
        for row in trains:
            row[rng.choice(LAYER.inputs, per_row, replace=False)] = True
        return trains, None
    if selection.listed is None:
        return np.ones_like(trains), None
    by_row = mask == "rows"
    count = selection.columns if selection.listed == "columns" else selection.rows
    index = np.sort(rng.choice(LAYER.outputs if by_row else LAYER.inputs, count, replace=False))
    trains[index if by_row else (slice(None), index)] = True
    return trains, index


def element_lists(program: Program, trains: np.ndarray) -> np.ndarray:
    """The list of each tile of the update: positions counted from the tile's first row."""
    loads = [c for c in program.queues[Queue.DMA_IN] if c.MNEMONIC == "dma.gather_cols"]
    weight = program.dram[2]
    found, width = [], trains.shape[1]
    for load in loads:
        if not weight.address <= load.dram < weight.address + weight.bytes:
            continue
        first, rows = (load.dram - weight.address) // (4 * width), load.pitch // (4 * width)
        found.append(np.flatnonzero(trains[first : first + rows]))
    return np.concatenate(found)


def adamw(w: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, ...]:
    m = BETA1 * m + (1 - BETA1) * g
    v = BETA2 * v + (1 - BETA2) * g * g
    return w * (1 - LEARNING_RATE * DECAY) - LEARNING_RATE * m / (np.sqrt(v) + EPSILON), m, v


@pytest.mark.parametrize("scratchpad", [64 << 10, 24 << 10])
@pytest.mark.parametrize("mask", MASKS)
def test_step_is_that_of_a_linear_layer(mask: str, scratchpad: int):
    rng = np.random.default_rng(0)
    config = machine(scratchpad)
    program = layer_program(LAYER, mask, 0.25, config)  # type: ignore[arg-type]
    check(program, config)
    assert simulate(program, config).cycles > 0
    trains, index = chosen(mask, 0.25, rng)
    x, dy = (bf16(rng.standard_normal((LAYER.tokens, n))) for n in (LAYER.inputs, LAYER.outputs))
    w, m, v = (rng.standard_normal((LAYER.outputs, LAYER.inputs)).astype(np.float32)
               for _ in range(3))  # fmt: skip
    v = v * v
    transposed, whole = mask == "columns_transposed", mask == "unstructured"

    def store(a: np.ndarray) -> np.ndarray:
        return a.T if transposed else a

    def pack(a: np.ndarray) -> np.ndarray:
        return a if whole else store(a)[store(trains)]

    device = FunctionalMachine(program, spm_bytes=config.scratchpad.bytes)
    for name, array in (("x", x), ("dy", dy), ("w", store(w)), ("m", pack(m)), ("v", pack(v))):
        device.write(name, array)
    names = [buffer.name for buffer in program.dram]
    if "lists" in names:
        lists = index if index is not None else element_lists(program, trains)
        device.write("lists", lists)
    device.run()
    gradient = dy.astype(np.float64).T @ x
    updated, first, second = adamw(w.astype(np.float64), gradient, m, v)
    tolerance = {"rtol": 2e-2, "atol": 0.2}  # bf16 weights and results, sums of 96
    np.testing.assert_allclose(device.read("y"), x @ bf16(w).T, **tolerance)
    np.testing.assert_allclose(device.read("dx"), dy @ bf16(w), **tolerance)
    after = store(device.read("w")) if transposed else device.read("w")
    assert np.array_equal(after[~trains], w[~trains])
    np.testing.assert_allclose(after[trains], updated[trains], rtol=1e-4, atol=1e-5)
    for name, expected, before in (("m", first, m), ("v", second, v)):
        got = device.read(name)
        if whole:
            assert np.array_equal(got[~trains], before[~trains])
            got = got[trains]
            expected = expected[trains]
        else:
            got, expected = np.ravel(got), np.ravel(pack(expected))
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_work_is_that_of_the_mask():
    config = machine()
    for mask, share in (("full", 3), ("rows", 2.25), ("columns_row_major", 2.25),
                        ("unstructured", 3)):  # fmt: skip
        program = layer_program(LAYER, mask, 0.25, config)  # type: ignore[arg-type]
        gemms = [c for c in program.queues[Queue.TENSOR] if isinstance(c, Gemm)]
        executed = sum(program.contractions[gemm.shape].macs for gemm in gemms)
        assert executed == share * LAYER.macs
        assert sum(op.macs + op.masked_macs for op in program.operations) == 3 * LAYER.macs


def test_refusals():
    with pytest.raises(MachineError, match="tokens is 10, expected a multiple of 16"):
        LinearLayer(tokens=10)
    with pytest.raises(MachineError, match=r"the density is 1\.5"):
        select(LAYER, "rows", 1.5)
    with pytest.raises(MachineError, match="of the scratchpad of 'ssft-edge'"):
        layer_program(LinearLayer(64, 4096, 4096), "rows", 0.1, machine(16 << 10))
