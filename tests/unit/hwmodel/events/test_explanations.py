"""Closed form, critical path, slack and waiting time of programs small enough to read."""

from __future__ import annotations

from ssft.hwmodel import isa
from ssft.hwmodel.config import Machine, load_machine
from ssft.hwmodel.isa import Contraction, Dim, DramBuffer, Program, Queue, SourceOp
from ssft.hwmodel.timing.closed_form import busiest_units, closed_form
from ssft.hwmodel.timing.counters import Counters
from ssft.hwmodel.timing.critical_path import Segment, critical_path, slack
from ssft.hwmodel.timing.events import simulate

MACHINE: Machine = load_machine("ssft-server")
ISSUE, LATENCY = 10, simulate(Program("any", "bf16"), MACHINE).latency


def load_multiply_store() -> Program:
    """Two loads, a product that needs both, a store; and a vector command on the side."""
    dims = (Dim("m", 512, 512, 0, 512), Dim("n", 512, 0, 1, 1), Dim("k", 512, 1, 512, 0))
    program = Program("any", "bf16", contractions=[Contraction(dims)])
    program.operations = [
        SourceOp("matmul", "gemm", "forward", "model.py:3"),
        SourceOp("score", "index", "update", "model.py:4"),
    ]
    program.dram = [
        DramBuffer("w", 0, 1 << 20, "f32", (512, 512), "weight"),
        DramBuffer("nothing", 1 << 20, 0, "f32", (0,), "index"),
        DramBuffer("x", 1 << 20, 1 << 20, "f32", (512, 512), "activation"),
        DramBuffer("small", (1 << 20) + 64, 64, "f32", (16,), "gradient"),
    ]
    block = {"rows": 512, "row_bytes": 2048, "pitch": 2048}
    program.queues[Queue.DMA_IN] = [
        isa.Load2D(dram=0, spm=0, post=0, **block),
        isa.Load2D(dram=1 << 20, spm=1 << 20, post=0, **block),
    ]
    program.queues[Queue.TENSOR] = [
        isa.Gemm(a=0, b=1 << 20, c=1 << 21, shape=0, wait=0, wait_value=2, post=2)
    ]
    program.queues[Queue.DMA_OUT] = [
        isa.Store2D(dram=(1 << 20) + 4096, spm=1 << 21, wait=2, wait_value=1, **block)
    ]
    program.queues[Queue.INDEX] = [isa.AccumulateScore(gradient=0, score=0, elements=512, tag=1)]
    return program


def test_the_critical_path_is_the_chain_that_one_expects():
    s = simulate(load_multiply_store(), MACHINE)
    load, product, store = int(s.work[0]), int(s.work[s.of(Queue.TENSOR)][0]), int(s.work[2])
    lengths = [ISSUE, load, ISSUE, load, LATENCY, product, store, LATENCY]
    causes = ["issue", "work", "issue", "work", "latency", "work", "work", "latency"]
    commands = [0, 0, 1, 1, 1, 3, 2, 2]
    expected, begin = [], 0
    for length, cause, command in zip(lengths, causes, commands, strict=True):
        expected.append(Segment(begin, begin + length, command, cause))
        begin += length
    assert critical_path(s) == expected
    assert s.cycles == begin


def test_slack_is_zero_on_the_chain_and_the_rest_of_the_run_elsewhere():
    s = simulate(load_multiply_store(), MACHINE)
    assert slack(s).tolist() == [0, 0, 0, 0, s.cycles - int(s.leave[4])]


def test_waiting_is_for_memory_or_for_units():
    counters = Counters(simulate(load_multiply_store(), MACHINE))
    tensor, out = counters.units["tensor"], counters.units["dma_out"]
    assert tensor.wait_memory == counters.units["dma_in"].busy + LATENCY - ISSUE
    assert tensor.wait_semaphore == 0
    assert (out.wait_memory, out.idle) == (0, LATENCY)
    assert out.wait_semaphore == tensor.wait_memory + tensor.busy - ISSUE


def test_a_hidden_phase_has_no_cycles_and_is_active_all_the_same():
    counters = Counters(simulate(load_multiply_store(), MACHINE))
    cycles = counters.simulation.cycles
    assert counters.phase_cycles == [cycles, 0, 0, 0]
    # The transfer's latencies count; the first issue does not.
    assert counters.active_cycles()[0] == cycles - ISSUE
    assert counters.active_cycles()[3] == int(counters.simulation.work[4])


def test_traffic_goes_to_the_buffer_that_holds_the_address():
    counters = Counters(simulate(load_multiply_store(), MACHINE))
    read, write = (counters.traffic("dram_useful_bytes")[way] for way in ("read", "write"))
    assert {k: n for k, n in read.items() if n} == {"weight": 1 << 20, "activation": 1 << 20}
    # A smaller buffer lies before the address, in memory that both use.
    assert {k: n for k, n in write.items() if n} == {"activation": 1 << 20}


def test_the_closed_form_adds_fill_phases_and_drain():
    counters = Counters(simulate(load_multiply_store(), MACHINE))
    s = counters.simulation
    load, product = int(s.work[0]), int(s.work[3])
    form = closed_form(counters)
    assert form.fill == ISSUE + load + LATENCY
    assert form.drain == ISSUE + load + LATENCY
    assert form.compute == (product + ISSUE, 0, 0, int(s.work[4]) + ISSUE)
    assert form.dma == (3 * load + 2 * ISSUE, 0, 0, 0)
    assert form.cycles == form.fill + form.dma[0] + form.compute[3] + form.drain
    assert busiest_units(counters)[0] == ("dram", 3 * load)
