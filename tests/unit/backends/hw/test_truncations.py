"""Sums that everybody rounds are rounded by the tensor unit, others are not."""

from __future__ import annotations

import numpy as np
import pytest
from accelerator_products import LAYOUTS, half_precision
from accelerator_steps import accelerator, in_random_order, run, same_bits
from hw_graphs import ORIGIN, buffer, nest, operand

from ssft.compiler.backends.hw.graph import ContractionDim, ContractionOp, Graph, Store
from ssft.compiler.backends.hw.kernels.truncations import fold_truncations
from ssft.compiler.backends.interpreter import interpret_step
from ssft.hwmodel.config import load_machine
from ssft.hwmodel.isa import MicroOp, Queue

SMALL = load_machine(
    "ssft-server", ["tensor.pes=2", "dram.bandwidth=60e9", "scratchpad.bytes=200000"]
)
"""A product of some hundred rows does not fit into the scratchpad as a whole."""

TRUNCATE = MicroOp("truncf", (0,), "bf16")


def value(name, dtype="f32"):
    return buffer(name, 16, dtype=dtype)


def product(sums, accumulate=False):
    """``sums = a b`` of 4 x 4 matrices."""
    dims = (
        ContractionDim("m", 4, 4, 0, 4),
        ContractionDim("n", 4, 0, 1, 1),
        ContractionDim("k", 4, 1, 4, 0),
    )
    a, b = value("a", "bf16"), value("b", "bf16")
    return ContractionOp(ORIGIN, dims, (a, 0), (b, 0), (sums, 0), accumulate=accumulate)


def truncate(sums, target):
    return nest([16], [operand(sums, 1)], [operand(target, 1)], [TRUNCATE], [2])


def rounded_sum(sums, other, target):
    """``target = bf16(sums) + other``."""
    walks = [operand(sums, 1), operand(other, 1)], [operand(target, 1)]
    return nest([16], *walks, [TRUNCATE, MicroOp("addf", (3, 1), "bf16")], [4])


def wide_sum(sums, other, target):
    """``target = sums + other``."""
    walks = [operand(sums, 1), operand(other, 1)], [operand(target, 1)]
    return nest([16], *walks, [MicroOp("addf", (0, 1), "f32")], [3])


def folded(*ops, results=()):
    graph = Graph(list(ops), [], [(0, b) for b in results], [])
    fold_truncations(graph)
    return graph.ops


def test_a_truncation_becomes_a_store():
    sums, half = value("sums"), value("half", "bf16")
    _, found = folded(product(sums), truncate(sums, half))
    assert isinstance(found, Store)
    assert sums.dtype == "bf16"
    assert (found.source.buffer, found.target.buffer) == (sums, half)


def test_what_is_computed_from_the_rounded_sum_stays():
    sums, other, target = value("sums"), value("other", "bf16"), value("target", "bf16")
    _, found = folded(product(sums), rounded_sum(sums, other, target))
    assert sums.dtype == "bf16"
    assert found.code == [MicroOp("addf", (0, 1), "bf16")]
    assert found.results == [3]


def test_several_readers_that_all_round():
    sums, half, other, target = value("s"), value("h", "bf16"), value("o", "bf16"), value("t")
    folded(product(sums), truncate(sums, half), rounded_sum(sums, other, target))
    assert sums.dtype == "bf16"


def test_one_that_reads_the_whole_sum_keeps_it():
    sums, half, target = value("sums"), value("half", "bf16"), value("target")
    _, found, _ = folded(
        product(sums), truncate(sums, half), wide_sum(sums, value("other"), target)
    )
    assert sums.dtype == "f32"
    assert found.code == [TRUNCATE]


def test_a_nest_that_needs_both_keeps_it():
    sums, half, whole = value("sums"), value("half", "bf16"), value("whole")
    walks = [operand(sums, 1)], [operand(half, 1), operand(whole, 1)]
    folded(product(sums), nest([16], *walks, [TRUNCATE], [3, 0]))
    assert sums.dtype == "f32"


@pytest.mark.parametrize("kind", ["result", "accumulated", "written twice", "f16"])
def test_what_stays_wide(kind):
    sums, half = value("sums"), value("half", "f16" if kind == "f16" else "bf16")
    ops = [product(sums, accumulate=kind == "accumulated")]
    if kind == "written twice":
        ops.insert(0, wide_sum(value("x"), value("y"), sums))
    reader = truncate(sums, half)
    if kind == "f16":
        reader.code = [MicroOp("truncf", (0,), "f16")]
    folded(*ops, reader, results=[sums] if kind == "result" else [])
    assert sums.dtype == "f32"


def factors(*shapes):
    random = np.random.default_rng(0)
    for shape in shapes:
        bits = random.standard_normal(shape, dtype=np.float32).view(np.uint32) >> 16
        yield bits.astype(np.uint16)


@pytest.mark.parametrize("precision", ["bf16", "f32"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_results_are_the_same_bits(layout, transposed, precision):
    m, n, k = 136, 200, 232
    text = half_precision(layout, m, n, k, transposed)
    a_inner, b_inner = LAYOUTS[layout]
    arguments = list(factors((m, k) if a_inner else (k, m), (n, k) if b_inner else (k, n)))
    program = accelerator(text, SMALL, precision)
    (expected,) = run(interpret_step(text, precision), arguments)
    for one in (program, *(in_random_order(program, seed) for seed in range(2))):
        (found,) = run(one, arguments)
        assert same_bits(found, expected)


def test_nothing_is_left_to_the_vector_unit():
    machine = load_machine("ssft-server")
    for transposed in (False, True):
        text = half_precision("nt", 64, 48, 80, transposed)
        program = accelerator(text, machine).program
        assert not program.queues[Queue.VECTOR]
        assert [shape.c_dtype for shape in program.contractions] == ["bf16"]
