"""``ssftc --checkpoint`` and ``--memory-budget``: what is chosen, said, reported and refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ssft.compiler.tools.ssftc import main

MODEL = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(8, 32), nn.Linear(32, 8)

    def forward(self, x):
        return x + self.down(torch.tanh(self.up(x)))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(3))

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return (x * x).mean()

def model():
    torch.manual_seed(0)
    return Net()

def batch():
    return {"x": torch.ones(256, 8)}
"""
ARGUMENTS = ("--recipe", "full")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(MODEL)
    return path


def run(capsys: Any, *arguments: object) -> tuple[int, str]:
    status = main([str(argument) for argument in arguments])
    return status, capsys.readouterr().err


def fails(capsys: Any, *arguments: object, status: int = 1) -> str:
    """Runs ssftc and returns what it says; it must end with `status`."""
    code, errors = run(capsys, *arguments)
    assert code == status, errors
    assert errors.startswith("ssftc: error: ") or ": error: " in errors.splitlines()[0]
    return errors


def compiled(capsys: Any, model: Path, *options: str) -> tuple[dict[str, Any], str]:
    report = model.with_suffix(".json")
    plan = model.with_suffix(".mlir")
    status, errors = run(capsys, model, *ARGUMENTS, "-o", plan, "--report", report, *options)
    assert status == 0, errors
    return json.loads(report.read_text()), errors


def test_a_budget_is_met_with_the_least_work(capsys, model):
    plain, said = compiled(capsys, model)
    assert plain["checkpoint"] is None and said == ""
    layer = compiled(capsys, model, "--checkpoint", "layer")[0]["checkpoint"]
    least = layer["cpu"]["total"]
    most = compiled(capsys, model, "--memory-budget", "1GB")[0]["checkpoint"]
    assert (most["mode"], most["recomputed_flops"]) == ("none", 0)
    assert least < most["cpu"]["total"]

    budget = (least + most["cpu"]["total"]) // 2
    report, said = compiled(capsys, model, "--memory-budget", str(budget))
    found = report["checkpoint"]
    assert found["mode"] == "selective" and found["memory_budget"] == budget
    assert found["cpu"]["total"] <= budget
    assert 0 < found["recomputed_flops"] < layer["recomputed_flops"]
    assert found["recomputed_flops"] == report["flops"]["recomputation"]
    saved = found["saved_activations"]
    assert saved["after"] == report["memory_bytes"]["saved_activations"] < saved["before"]
    assert saved["before"] == plain["memory_bytes"]["saved_activations"]
    assert said.startswith("checkpoint selective: ") and said.count("\n") == 1
    assert report["flops"]["forward"] == plain["flops"]["forward"]


def test_nothing_fits(capsys, model):
    budget = ("--memory-budget", "64kB")
    plan = model.with_suffix(".mlir")
    errors = fails(capsys, model, *ARGUMENTS, "-o", plan, *budget)
    assert "a step takes at least" in errors and "more than the budget of 62.5 KiB" in errors
    for kind in ("parameters that train: ", "optimizer states: ", "batch: ", "temporaries: "):
        assert f"note: {kind}" in errors
    assert "of the tokens" in errors
    assert not plan.exists()
    errors = fails(capsys, model, *ARGUMENTS, "-o", plan, "--checkpoint", "none", *budget)
    assert "with nothing computed again" in errors


def test_a_budget_that_is_missed_by_a_byte_looks_smaller(capsys, model):
    least = compiled(capsys, model, "--checkpoint", "layer")[0]["checkpoint"]["cpu"]["total"]
    budget = ("--checkpoint", "layer", "--memory-budget", str(least - 1))
    errors = fails(capsys, model, *ARGUMENTS, "-o", model.with_suffix(".mlir"), *budget)
    assert f"at least {least:,} B (" in errors and f"the budget of {least - 1:,} B" in errors


@pytest.mark.parametrize(
    ("options", "message", "status"),
    [
        (("--checkpoint", "auto"), "needs to know how much memory there is", 2),
        (("--memory-budget", "lots"), "'lots' is no size of memory", 2),
        (("--checkpoint", "layer", "--emit=linalg"), "is computed again at stage 'linalg' yet", 2),
        (("--memory-budget", "1GB", "--emit=torch"), "is computed again at stage 'torch' yet", 2),
    ],
)
def test_mistakes(capsys, model, options, message, status):
    plan = model.with_suffix(".mlir")
    assert message in fails(capsys, model, "-o", plan, *options, status=status)


def test_a_plan_keeps_what_it_keeps(capsys, model):
    compiled(capsys, model)
    plan = model.with_suffix(".mlir")
    assert "is a plan already" in fails(capsys, plan, "-o", plan, "--checkpoint", "layer")
