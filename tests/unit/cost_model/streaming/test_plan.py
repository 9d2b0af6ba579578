"""Plans as steps to stream, and ``ssft-cost stream`` as a user calls it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ssft.compiler import Plan, Recipe, compile_file
from ssft.compiler.cost_model.streaming.check import check
from ssft.compiler.cost_model.streaming.machine import Machine, load_machine, preset_names
from ssft.compiler.cost_model.streaming.plan import plan_step, read_step
from ssft.compiler.cost_model.streaming.search import stream
from ssft.compiler.cost_model.streaming.step import Step, on_host, zeroth_order
from ssft.compiler.diagnostics import UserError
from ssft.compiler.tools.ssft_cost import main

MODEL_FILE = """
import torch
from transformers import LlamaConfig, LlamaForCausalLM


def model():
    config = LlamaConfig(vocab_size=256, hidden_size=64, intermediate_size=176,
        num_hidden_layers=2, num_attention_heads=4, use_cache=False, attn_implementation="sdpa")
    return LlamaForCausalLM(config).to(torch.bfloat16).train()


def batch():
    ids = torch.zeros((2, 24), dtype=torch.long)
    return {"input_ids": ids, "labels": ids}
"""
MACHINE = Machine(1e9, 1e9, 1e9, 1e9, 1e9, 5e8, 5e8, 1e11, 1e8)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    file = tmp_path_factory.mktemp("stream") / "model.py"
    file.write_text(MODEL_FILE)
    return compile_file(file, Recipe("s2ft", ratio=0.25), abstract=True)


@pytest.fixture(scope="module")
def step(plan: Plan) -> Step:
    return plan_step(plan.module, "small")


@pytest.fixture(scope="module")
def path(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("stream") / "plan.mlir"
    plan.save(file)
    return str(file)


def test_bytes_and_operations_are_the_reports(plan: Plan, step: Step):
    """All at once is the report's peak, to the byte, so nothing is counted twice or not at all."""
    found = plan.report()
    memory = found["memory_bytes"]
    made = stream(step, MACHINE)
    assert made.all_resident == memory["peak"]
    assert check(made.best) == memory["peak"]
    assert step.flops == sum(found["flops"].values())
    assert step.bytes_of("state") == memory["optimizer_state"]
    assert step.bytes_of("trainable") == step.bytes_of("gradient") == memory["gradients"]
    weights = step.bytes_of("frozen") + step.bytes_of("trainable")
    assert 0.98 * memory["weights"] <= weights <= memory["weights"]
    saved = memory["saved_activations"]
    assert 0.98 * saved <= step.bytes_of("activation") <= saved


def test_weights_are_needed_where_they_are_read(step: Step):
    """The first attention block and the embedding have no backward pass; what trains is updated."""
    ends = max(n for n, segment in enumerate(step.segments) if segment.phase == "forward")
    forward_only = {
        t.name for t in step.tensors if t.kind == "frozen" and t.bytes > 100 and max(t.uses) <= ends
    }
    block = "model.layers.0.self_attn"
    assert forward_only == {
        "model.embed_tokens.weight",
        "model.layers.0.input_layernorm.weight",
        *(f"{block}.{name}_proj.weight" for name in "qkvo"),
    }
    for update in step.updates:
        weight = step.tensors[update.weight]
        assert weight.written[-1] >= update.segment and len(update.states) == 2
        assert min(weight.uses) <= ends < update.segment
        assert step.tensors[update.gradients[0]].uses[-1] <= update.segment


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 1.0])
@pytest.mark.parametrize("host", [1e9, 3e5])
def test_schedules_of_a_plan(step: Step, share: float, host: float):
    for mode in (step, on_host(step), zeroth_order(step)):
        free = stream(mode, MACHINE)
        budget = free.least + share * (free.all_resident - free.least)
        values = vars(MACHINE) | {"device": budget, "host": host}
        made = stream(mode, Machine(**values))
        assert check(made.best) <= budget
        assert made.best.seconds >= free.best.seconds


def test_the_hosts_optimizer_keeps_states_off_the_device(step: Step):
    made = stream(on_host(step), MACHINE).best
    on_device = {n for n, stays in enumerate(made.stays) if stays}
    assert not any(step.tensors[n].kind == "state" for n in on_device)
    gradients = sum(t.bytes for t in made.transfers if t.queue == "to_host")
    assert gradients == step.bytes_of("gradient")
    assert sum(t.bytes for t in made.transfers if t.queue == "host_update") == sum(
        update.elements for update in step.updates
    )


def test_zeroth_order_is_two_forward_passes(step: Step):
    made = zeroth_order(step)
    forward = sum(s.flops for s in step.segments if s.phase == "forward")
    assert made.flops == 2 * forward
    assert {tensor.kind for tensor in made.tensors} == {"frozen", "trainable"}


def test_command(path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out, picture = tmp_path / "s.json", tmp_path / "s.png"
    budget = ["stream", path, "--memory-budget", "300kB", "--host", "200kB", "--ssd", "1MB"]
    assert main([*budget, "--json", str(out), "--plot", str(picture)]) == 0
    text = capsys.readouterr().out
    assert "bounded by" in text and "no schedule can take less" in text
    found = json.loads(out.read_text())
    assert found["peak_bytes"] <= 300e3 and found["host_bytes"] <= 200e3
    assert found["lower_bound_seconds"] <= found["seconds"] <= found["without_overlap_seconds"]
    assert found["ssd_bytes"] > 0 and len(found["tensors"]) == len(read_step(Path(path)).tensors)
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--memory-budget", "1kB"], 1, "it fits into --memory-budget"),
        (["--memory-budget", "200kB", "--host", "1kB", "--ssd", "1kB"], 1, "without an SSD"),
        (["--memory-budget", "24 apples"], 2, "is not in B"),
        (["--machine", "rtx4090"], 2, "rtx4090-workstation"),
        (["--zeroth-order", "--optimizer", "host"], 2, "no optimizer"),
        (["--memory-budget", "0"], 2, "device of the machine is 0 B"),
        (["--host-bandwidth", "0B/s"], 2, "to_device of the machine is 0 B/s"),
        (["--ssd-bandwidth", "1e-290"], 2, "ssd_read of the machine is 1e-290 B/s"),
        (["--compute", "1e-200FLOP/s"], 2, "compute of the machine is 1e-200 FLOP/s"),
        (["--compute", "1e300FLOP/s"], 2, "from 1 to 1e+24 FLOP/s"),
        (["--host-update", "0.5"], 2, "host_update of the machine is 0.5 elements/s"),
        (["--host", "1e999"], 2, "host of the machine is inf B"),
    ],
)
def test_refusals(
    path: str, arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["stream", path, *arguments]) == code
    assert said in capsys.readouterr().err


def test_what_is_said_to_fit_fits(path: str, step: Step, capsys: pytest.CaptureFixture[str]):
    """A byte less than what is needed looks like less, and what is offered is enough."""
    least = int(stream(step, MACHINE).least)
    assert main(["stream", path, "--memory-budget", str(least - 1)]) == 1
    said = capsys.readouterr().err.replace("\n", " ")
    assert f"the device has {least - 1:,} B, and the step needs {least:,} B" in said
    offered = re.findall(r"--memory-budget (\S+);", said)[0]
    assert main(["stream", path, "--memory-budget", offered, "--host", "1kB", "--ssd", "0"]) == 1
    offered_host = re.findall(r"--host (\S+)", capsys.readouterr().err)[0]
    assert offered_host[0] != "0"
    fits = ["--memory-budget", offered, "--host", offered_host, "--ssd", "0", "--json", "-"]
    assert main(["stream", path, *fits]) == 0


def test_a_step_that_computes_nothing_takes_no_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
):
    plan = tmp_path / "[idle].mlir"
    plan.write_text(
        'module attributes {ssft.method = "full"} {\n'
        '  func.func @step(%x: tensor<4xf32> {ssft.role = "input", ssft.name = "x"})\n'
        '      -> (tensor<4xf32> {ssft.role = "loss"}) { return %x : tensor<4xf32> }\n}\n'
    )
    assert main(["stream", str(plan)]) == 0
    text = capsys.readouterr().out
    assert "[idle], full" in text and "inf" not in text and "nan" not in text
    assert not recwarn.list


@pytest.mark.parametrize("name", preset_names())
def test_machines_can_be_loaded_and_overridden(name: str):
    assert load_machine(name, {"device": 5.0, "host": None}).device == 5.0


def test_constants_say_where_they_are_from(tmp_path: Path):
    file = tmp_path / "m.toml"
    file.write_text('device = { value = 24, unit = "GB", label = "guess", source = "x" }\n')
    with pytest.raises(UserError, match="what speaks for it"):
        load_machine(str(file), {})
    file.write_text("device = 24\n")
    with pytest.raises(UserError, match="has no device"):
        load_machine(str(file), {})
