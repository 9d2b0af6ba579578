"""A plan's costs agree with those of its shapes, which are computed without the plan."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from ssft.compiler import Plan, Recipe, compile_file
from ssft.compiler.cost_model import Architecture, Storage, Workload, full, s2ft
from ssft.compiler.cost_model.activations import compiled
from ssft.compiler.cost_model.methods import trainable_parameters
from ssft.compiler.cost_model.parallel import Job, Layout, parallel_costs
from ssft.compiler.cost_model.parallel.plan import plan_costs
from ssft.compiler.cost_model.parallel.plan_facts import PlanFacts, cuts, plan_facts, read_plan
from ssft.compiler.diagnostics import UserError

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
    return {name: plan_facts(plan.module, name) for name, plan in plans.items()}


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
    assert read_plan(tmp_path / "s2ft.mlir") == facts["s2ft"]


def test_what_plans_cannot_is_refused(facts: dict[str, PlanFacts], tmp_path: Path):
    with pytest.raises(UserError, match="tensor parallelism is not covered for plans"):
        plan_costs(facts["s2ft"], Layout(tensor=2))
    with pytest.raises(UserError, match="cannot be cut into 64 stages"):
        plan_costs(facts["s2ft"], Layout(pipeline=64))
    with pytest.raises(UserError, match="cannot read plan"):
        read_plan(tmp_path / "gone.mlir")
    (tmp_path / "other.mlir").write_text("module {}")
    with pytest.raises(UserError, match="no function '@step'"):
        read_plan(tmp_path / "other.mlir")
