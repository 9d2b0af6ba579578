"""A plan's costs agree with those of its shapes, which are computed without the plan."""

from __future__ import annotations

import csv
import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from ssft.compiler import Plan, Recipe, compile_file
from ssft.compiler.cost_model import Architecture, Storage, Workload, full, s2ft
from ssft.compiler.cost_model.activations import compiled
from ssft.compiler.cost_model.methods import trainable_parameters
from ssft.compiler.cost_model.parallel import Job, Layout, parallel_costs
from ssft.compiler.cost_model.parallel.plan import plan_costs
from ssft.compiler.cost_model.parallel.plan_facts import PlanFacts, cuts, plan_facts, read_plan
from ssft.compiler.cost_model.parallel.traffic import sent
from ssft.compiler.diagnostics import UserError
from ssft.compiler.driver import Options
from ssft.compiler.memory_fit import MemoryRequest
from ssft.compiler.tools.ssft_cost import main

MODEL_FILE = """
import torch
from transformers import LlamaConfig, LlamaForCausalLM


def model():
    config = LlamaConfig(vocab_size=256, hidden_size=64, intermediate_size=176,
        num_hidden_layers=4, num_attention_heads=4, use_cache=False, attn_implementation="sdpa")
    return LlamaForCausalLM(config).train()


def batch():
    ids = torch.zeros((2, 24), dtype=torch.long)
    return {"input_ids": ids, "labels": ids}


def optimizer(parameters):
    return torch.optim.AdamW(parameters, lr=2e-4)
"""

ADAPTED_FILE = """
import peft
import torch
from transformers import LlamaConfig, LlamaForCausalLM


def model():
    config = LlamaConfig(vocab_size=256, hidden_size=64, intermediate_size=176,
        num_hidden_layers=1, num_attention_heads=8, num_key_value_heads=4, use_cache=False,
        attn_implementation="sdpa", attention_bias=True)
    settings = peft.LoraConfig(r=4, lora_dropout=0.0, target_modules=["q_proj", "o_proj"])
    return peft.get_peft_model(LlamaForCausalLM(config), settings).train()


def batch():
    ids = torch.zeros((2, 24), dtype=torch.long)
    return {"input_ids": ids, "labels": ids}


def optimizer(parameters):
    return torch.optim.AdamW(parameters, lr=2e-4)
"""

SHAPES = Architecture("tiny", 64, 176, 4, 4, 4, 16, 256)
METHODS = {"s2ft": s2ft(SHAPES, {"o": 0.25, "down": 0.25}), "full": full(SHAPES)}
STORAGE = Storage(4, 4, 4)
BOUNDARY = 2 * 24 * 64 * 4
"""Bytes of the residual stream."""


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Plan]:
    file = tmp_path_factory.mktemp("plans") / "tiny.py"
    file.write_text(MODEL_FILE)
    recipes = {"s2ft": Recipe("s2ft", ratio=0.25), "full": Recipe("full")}
    return {name: compile_file(file, recipe, abstract=True) for name, recipe in recipes.items()}


@pytest.fixture(scope="module")
def facts(plans: dict[str, Plan]) -> dict[str, PlanFacts]:
    return {name: plan_facts(plan.module, name, blocks=True) for name, plan in plans.items()}


def from_shapes(method: str, layout: Layout):
    work = Workload(2 * layout.microbatches, 24)
    return parallel_costs(Job(SHAPES, METHODS[method], work, STORAGE, layout), compiled)


@pytest.mark.parametrize("zero", [0, 1, 2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_data_parallel_plan(facts: dict[str, PlanFacts], method: str, zero: int):
    layout = Layout(data=4, zero=zero, microbatches=2)
    found = plan_costs(facts[method], layout).fullest
    expected = from_shapes(method, layout).fullest
    buffers = sum(p.bytes for p in facts[method].parameters) - 4 * SHAPES.parameters
    share = 4 if zero == 3 else 1
    assert found.model.weights == expected.model.weights + buffers / share
    assert found.model.gradients == expected.model.gradients
    assert found.model.states == expected.model.states
    assert found.flops.total == pytest.approx(expected.flops.total)
    # A plan looks the first layer's input up again for its backward pass instead of keeping it, and
    # one of its two buffers is read.
    more = sum(p.bytes for p in facts[method].parameters if p.first >= 0) - 4 * SHAPES.parameters
    more += 4 * 256 * 64 if method == "full" else 0
    gathered = 2 * 3 / 4 * more if zero == 3 else 0
    assert found.sent == pytest.approx(expected.sent + gathered)


def test_buffers_are_a_small_part(facts: dict[str, PlanFacts]):
    # Rotary frequencies: what a plan stores beside its parameters.
    found = facts["s2ft"]
    assert 0 <= sum(p.bytes for p in found.parameters) - 4 * SHAPES.parameters < 256
    assert found.trainable_parameters == trainable_parameters(SHAPES, METHODS["s2ft"])
    assert found.total_parameters == SHAPES.parameters


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("stages", [2, 3, 4])
def test_stages_are_cut_at_the_residual_stream(
    facts: dict[str, PlanFacts], method: str, stages: int
):
    layout = Layout(pipeline=stages, microbatches=4)
    found = plan_costs(facts[method], layout)
    each = 4 * BOUNDARY
    assert [rank.sent for rank in found.ranks] == [each] + [2 * each] * (stages - 2) + [each]
    one = plan_costs(facts[method], Layout(microbatches=4)).fullest
    ranks = found.ranks
    assert sum(rank.model.weights for rank in ranks) == one.model.weights
    assert sum(rank.model.gradients for rank in ranks) == one.model.gradients
    assert sum(rank.model.states for rank in ranks) == one.model.states
    assert sum(rank.flops.total for rank in ranks) == pytest.approx(one.flops.total)
    kept = [rank.activations / layout.in_flight(rank.stage) for rank in ranks]
    assert sum(kept) == one.activations


def test_activations_are_the_reports(plans: dict[str, Plan], facts: dict[str, PlanFacts]):
    report = plans["s2ft"].report()
    rank = plan_costs(facts["s2ft"], Layout()).fullest
    assert rank.activations == report["memory_bytes"]["saved_activations"]
    assert rank.model.states == report["memory_bytes"]["optimizer_state"]
    assert rank.model.weights == report["memory_bytes"]["weights"]
    assert rank.model.gradients == report["memory_bytes"]["gradients"]
    assert facts["s2ft"].peak == report["memory_bytes"]["peak"]


def test_stages_have_like_work(facts: dict[str, PlanFacts]):
    found = facts["full"]
    ends = cuts(found, 4)
    assert ends == sorted(set(ends))
    edges = [-1, *ends, len(found.work) - 1]
    work = [sum(found.work[a + 1 : b + 1]) for a, b in itertools.pairwise(edges)]
    assert max(work) <= 1.5 * sum(work) / 4


def test_saved_plan_is_the_same(
    plans: dict[str, Plan], facts: dict[str, PlanFacts], tmp_path: Path
):
    plans["s2ft"].save(tmp_path / "s2ft.mlir")
    assert read_plan(tmp_path / "s2ft.mlir", blocks=True) == facts["s2ft"]
    without = replace(facts["s2ft"], blocks=())
    found = read_plan(tmp_path / "s2ft.mlir")
    assert found == replace(without, saved_inside=found.saved_inside, work_inside=found.work_inside)
    assert not any((*found.saved_inside, *found.work_inside))


def test_recomputation_is_refused(tmp_path: Path):
    file = tmp_path / "tiny.py"
    file.write_text(MODEL_FILE)
    options = Options(memory=MemoryRequest.of("layer", None))
    plan = compile_file(file, Recipe("s2ft", ratio=0.25), abstract=True, options=options)
    with pytest.raises(UserError, match="computes activations again"):
        plan_facts(plan.module, "tiny")


@pytest.mark.parametrize("method", METHODS)
def test_heads_and_feed_forward_channels_are_found(facts: dict[str, PlanFacts], method: str):
    names = {parameter.index: parameter.name for parameter in facts[method].parameters}
    blocks = {
        frozenset(names[index].split(".", 3)[-1] for index in block.parameters): block.units
        for block in facts[method].blocks
    }
    attention = frozenset(f"self_attn.{name}_proj.weight" for name in "qkvo")
    feed_forward = frozenset(f"mlp.{name}_proj.weight" for name in ("gate", "up", "down"))
    assert blocks == {attention: 4, feed_forward: 176}
    assert len(facts[method].blocks) == 2 * SHAPES.layers


def test_adapters_are_split_with_their_matrices_but_not_along_their_ranks(tmp_path: Path):
    pytest.importorskip("peft")
    (tmp_path / "adapted.py").write_text(ADAPTED_FILE)
    plan = compile_file(tmp_path / "adapted.py", Recipe("full"), abstract=True)
    found = plan_facts(plan.module, "adapted", blocks=True)
    names = {parameter.index: parameter.name for parameter in found.parameters}
    largest, attention = found.blocks
    assert (largest.units, attention.units) == (176, 4)
    split = {names[index].split("self_attn.")[-1] for index in attention.parameters}
    matrices = ["q_proj.base_layer", "k_proj", "v_proj", "o_proj.base_layer"]
    assert split == {
        *(f"{name}.weight" for name in matrices),
        *(f"{name}.bias" for name in matrices[:3]),
        "q_proj.lora_B.default.weight",
        "o_proj.lora_A.default.weight",
    }
    # Output of o, and of its adapter's first factor; inputs of q, k, v, and of the second factor.
    ranks = 2 * 24 * 4 * 4
    assert sorted(size for _, size in attention.forward) == [ranks, BOUNDARY]
    assert sorted(size for _, size, _ in attention.backward) == [ranks, BOUNDARY]


@pytest.mark.parametrize("pipeline", [1, 2])
@pytest.mark.parametrize("method", METHODS)
def test_tensor_parallel_plan(facts: dict[str, PlanFacts], method: str, pipeline: int):
    layout = Layout(tensor=4, pipeline=pipeline, microbatches=2)
    found, expected = plan_costs(facts[method], layout), from_shapes(method, layout)
    # A plan's embedding, head and loss are whole on every rank, so nothing is summed for them.
    whole = 2 * 2 * 3 / 4 * BOUNDARY
    loss = 3 * 2 * 2 * 3 / 4 * 2 * 24 * 4
    mine, theirs = (
        sum(sent(rank.transfers, dimension="tensor") for rank in costs.ranks) / 4
        for costs in (found, expected)
    )
    assert mine == pytest.approx(theirs - 2 * whole - loss)
    tables = 2 * 4 * 256 * 64
    held = sum(rank.model.weights for rank in found.ranks)
    buffers = sum(p.bytes for p in facts[method].parameters) - 4 * SHAPES.parameters
    split = sum(rank.model.weights for rank in expected.ranks)
    assert held == split + 3 * tables + 4 * buffers
    if method == "s2ft":
        # The one head that trains is on one of four ranks there; here the mean counts.
        gradients = [
            sum(rank.model.gradients for rank in costs.ranks) for costs in (found, expected)
        ]
        assert gradients[0] == gradients[1]


def test_values_inside_of_blocks_are_split(facts: dict[str, PlanFacts]):
    layout = Layout(tensor=2)
    found = plan_costs(facts["full"], layout).fullest.activations
    expected = from_shapes("full", layout).fullest.activations
    # Split logits; positions once for the batch; shifted labels and their number are no activation.
    logits = 2 * 24 * 256 * 4 / 2
    positions = 2 * 16 * 4 * 24
    labels = 2 * 25 * 8 + 4
    assert found == pytest.approx(expected + logits - positions + labels)


def test_what_plans_cannot_is_refused(facts: dict[str, PlanFacts], tmp_path: Path):
    with pytest.raises(UserError, match="a block of 4 units, which cannot be split into 8"):
        plan_costs(facts["s2ft"], Layout(tensor=8))
    with pytest.raises(UserError, match="nothing in the step of 's2ft' can be split"):
        plan_costs(replace(facts["s2ft"], blocks=()), Layout(tensor=2))
    with pytest.raises(UserError, match="sequence parallelism is not covered"):
        plan_costs(facts["s2ft"], Layout(tensor=2, sequence=True))
    with pytest.raises(UserError, match="cannot be cut into 64 stages"):
        plan_costs(facts["s2ft"], Layout(pipeline=64))
    with pytest.raises(UserError, match="cannot read plan"):
        read_plan(tmp_path / "gone.mlir")
    (tmp_path / "other.mlir").write_text("module {}")
    with pytest.raises(UserError, match="no function '@step'"):
        read_plan(tmp_path / "other.mlir")


def test_command_reports_on_a_plan(
    plans: dict[str, Plan], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "s2ft.mlir"
    plans["s2ft"].save(path)
    layout = ["--data", "4", "--zero", "3", "--tensor", "2", "--pipeline", "2"]
    assert main(["parallel", "--plan", str(path), *layout]) == 0
    text = capsys.readouterr().out
    assert "16 ranks: 4 data x 2 tensor x 2 pipeline, ZeRO stage 3" in text
    assert "the plan itself, on one rank, at its peak" in text
    assert main(["parallel", "--plan", str(path), "--sweep", "tensor=1,2,8", "--csv", "-"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [row["tensor"] for row in rows] == ["1", "2", "8"]
    assert int(rows[1]["total_bytes"]) < int(rows[0]["total_bytes"])
    assert "a block of 4 units" in rows[2]["refused"]
