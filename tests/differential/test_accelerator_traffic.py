"""Traffic of a compiled step, phase by phase, against a count from the plan's own report.

On a machine whose scratchpad holds everything, each byte crosses the DRAM interface once, and it
can be said on paper which: that is what these tests do, from shapes, roles and masks alone. What
moves to and from slots of the scratchpad is held against DRAM's buffers, phases and masks, none of
which say anything about slots.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from side_by_side import EXAMPLES

from ssft.compiler import Plan, Recipe, compile_file
from ssft.compiler.analysis.step import find_step
from ssft.compiler.backends.hw import compile_program
from ssft.hwmodel.config import load_machine
from ssft.hwmodel.isa import AdamRows, Gemm
from ssft.hwmodel.report import report
from ssft.hwmodel.timing.counters import Counters
from ssft.hwmodel.timing.events import Simulation, simulate

BF16, F32, F64, I64 = 2, 4, 8, 8
STATES = 2
"""Adam's moments."""


PLANS = [("tiny_llama", recipe) for recipe in ("s2ft", "columns", "full")]
PLANS += [("hf_llama_gqa_sdpa", "s2ft")]


@pytest.fixture(scope="module", params=PLANS, ids=" ".join)
def plan(request: pytest.FixtureRequest) -> Plan:
    model, recipe = request.param
    return compile_file(EXAMPLES / f"{model}.py", Recipe(recipe))


@pytest.fixture(scope="module")
def simulation(plan: Plan) -> Simulation:
    machine = load_machine("ssft-server")
    return simulate(compile_program(plan.text(), machine), machine)


@pytest.fixture(scope="module")
def found(simulation: Simulation) -> dict:
    return report(simulation)


def looked_up(plan: Plan) -> set[str]:
    """Tables of which rows are gathered: the model has one, and it is its first parameter."""
    return {plan.signature().parameters[0].name}


def test_forward_reads_each_weight_once(plan: Plan, found: dict):
    """Matrices as bf16, vectors as f32; of the embedding one row per token; the batch; the loss."""
    signature = plan.signature()
    tables = looked_up(plan)
    # Transformers' Llama has a buffer of frequencies that it never reads.
    step = find_step(plan.module.operation).regions[0].blocks[0].arguments
    read = [p for p in signature.parameters if list(step[p.index].uses)]
    matrices = [p for p in read if len(p.shape) == 2 and p.name not in tables]
    vectors = [p for p in read if len(p.shape) == 1]
    (table,) = (p for p in read if p.name in tables)
    tokens = math.prod(signature.inputs[0].shape)
    expected = BF16 * sum(p.elements for p in matrices) + F32 * sum(p.elements for p in vectors)
    expected += F32 * tokens * table.shape[1]
    expected += sum(i.bytes for i in signature.inputs) + F32
    assert found["phases"]["forward"]["dram_bytes"] == expected


def test_gradients_stay_on_chip(plan: Plan, found: dict):
    """But for lookups that the backward pass makes again instead of keeping their result."""
    tokens = math.prod(plan.signature().inputs[0].shape)
    (table,) = (p for p in plan.signature().parameters if p.name in looked_up(plan))
    again = plan.text().count(f"tensor.extract %arg{table.index}[") - 1
    expected = again * F32 * tokens * table.shape[1]
    assert found["phases"]["input_gradient"]["dram_bytes"] == expected
    assert found["phases"]["weight_gradient"]["dram_bytes"] == 0


def test_update_moves_what_trains(plan: Plan, found: dict):
    """In: the master and two moments. Out: the same, and the tensor unit's copy of matrices."""
    signature, tables = plan.signature(), looked_up(plan)
    masks = {mask["name"]: mask for mask in plan.report()["masks"]}
    trained = mirrored = 0
    for parameter in signature.parameters:
        mask = masks.get(parameter.name)
        if mask is None:
            continue
        assert mask["combine"] == "intersection"
        rows = parameter.shape[0] if mask["rows"] is None else len(mask["rows"])
        others = parameter.elements // parameter.shape[0]
        columns = others if mask["columns"] is None else len(mask["columns"])
        trained += rows * columns
        if len(parameter.shape) == 2 and parameter.name not in tables:
            mirrored += rows * columns
    assert trained == plan.report()["trainable_parameters"]
    expected = 2 * (1 + STATES) * F32 * trained + BF16 * mirrored
    expected += F64 + 2 * F64  # the learning rate; the step, in and out
    assert found["phases"]["update"]["dram_bytes"] == expected
    assert found["dram_bytes"]["write"]["optimizer"] == STATES * F32 * trained + F64


def test_macs_of_each_phase(plan: Plan, found: dict):
    flops = plan.report()["flops"]
    for phase in ("forward", "input_gradient", "weight_gradient"):
        assert 2 * found["phases"][phase]["macs"] == flops[phase] > 0
    assert found["macs"]["executed"] * 2 == sum(flops.values()) - flops["update"]


def test_masked_work_is_what_the_dense_gradient_has_on_top(plan: Plan, found: dict):
    """Of all matrices, frozen ones included; the embedding's gradient is no product."""
    tokens = math.prod(plan.signature().inputs[0].shape)
    dense = sum(
        p.elements * tokens
        for p in plan.signature().parameters
        if len(p.shape) == 2 and p.name not in looked_up(plan)
    )
    executed = found["phases"]["weight_gradient"]["macs"]
    assert found["macs"]["masked"] + executed == dense


def test_the_scratchpad_gets_what_dram_gives(plan: Plan, simulation: Simulation, found: dict):
    """Purpose by purpose, but that a looked-up row of a table is an activation from then on.

    What is stored is read there; and the lists of what is gathered and scattered are.
    """
    slots, asked = found["spm_bytes_by_unit_and_purpose"], found["dram_bytes"]
    tokens = math.prod(plan.signature().inputs[0].shape)
    (table,) = (p for p in plan.signature().parameters if p.name in looked_up(plan))
    times = plan.text().count(f"tensor.extract %arg{table.index}[")
    rows = times * F32 * tokens * table.shape[1]
    moved = {"weight": -rows, "activation": rows}
    assert slots["written"]["dma_in"] == {
        p: size + moved.get(p, 0) for p, size in asked["read"].items()
    }
    lists = {u: I64 * n for u, n in Counters(simulation).by_unit("list_entries").items()}
    read = {p: size for p, size in slots["read"]["dma_in"].items() if size}
    assert read.pop("input") == times * I64 * tokens
    assert read.get("index", 0) == sum(read.values()) == lists["dma_in"] - times * I64 * tokens
    moved = {"index": lists["dma_out"]}
    assert slots["read"]["dma_out"] == {
        p: size + moved.get(p, 0) for p, size in asked["write"].items()
    }
    for way, units in slots.items():
        assert {unit: sum(p.values()) for unit, p in units.items()} == found["spm_bytes"][way]
        for purpose, total in found["spm_bytes_by_purpose"][way].items():
            assert sum(p[purpose] for p in units.values()) == total


def test_products_write_activations_forward_and_gradients_backward(simulation: Simulation):
    counters = Counters(simulation)
    expected = {"activation": 0, "gradient": 0}
    for i, command in enumerate(simulation.stream.commands):
        if isinstance(command, Gemm):
            forward = simulation.stream.operations[command.tag].phase == "forward"
            size = int(counters.per_command["spm_written_bytes"][i])
            expected["activation" if forward else "gradient"] += size
    made = report(simulation)["spm_bytes_by_unit_and_purpose"]["written"]["tensor"]
    assert all(expected.values())
    assert {purpose: size for purpose, size in made.items() if size} == expected


def test_the_update_unit_reads_and_writes_what_trains(plan: Plan, simulation: Simulation):
    """Of each element the master, its gradient and two moments; the learning rate and the step."""
    trained = plan.report()["trainable_parameters"]
    updates = [isinstance(c, AdamRows) for c in simulation.stream.commands]
    read, written = (
        traffic.by_key_and_purpose(np.array(updates, dtype=np.int64), 2)[1]
        for traffic in Counters(simulation).scratchpad_traffic.values()
    )
    assert read["weight"] == read["gradient"] == F32 * trained
    assert 0 <= read["optimizer"] - STATES * F32 * trained <= 2 * F64 * sum(updates)
    assert written["optimizer"] == STATES * F32 * trained
    # Beside the master, the tensor unit's copy of matrices.
    assert F32 * trained < written["weight"] <= (F32 + BF16) * trained
    assert not any(written[p] for p in ("activation", "gradient", "input", "output"))
