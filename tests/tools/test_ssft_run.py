"""``ssft-run`` as a user calls it: what it trains and writes, and what it says when it cannot."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from safetensors.torch import load_file as torch_file

from ssft.compiler.frontend.model_file import load_model_file
from ssft.compiler.tools.ssftc import main as ssftc
from ssft.runtime.comparison import relative_difference
from ssft.runtime.executor import exact_device
from ssft.runtime.tools.ssft_run import main


@pytest.fixture
def plan(write_model, tmp_path):
    path = tmp_path / "plan.mlir"
    assert ssftc([str(write_model()), "-o", str(path), "--recipe", "rows", "--ratio", "0.5"]) == 0
    return path


def run(capsys, *arguments) -> tuple[int, str, str]:
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def fails(capsys, *arguments) -> str:
    status, _, errors = run(capsys, *arguments)
    assert status == 1, errors
    assert "Traceback" not in errors
    assert ": error: " in errors.splitlines()[0]
    return errors


def batches(**changes) -> dict[str, np.ndarray]:
    arrays = {"ids": np.arange(6), "labels": np.arange(6) % 4}
    return {name: np.asarray(value) for name, value in (arrays | changes).items()}


def test_trains_saves_and_resumes(capsys, plan, tmp_path):
    """Ten steps at once, and five and five with a checkpoint between, end in the same bytes."""
    data, whole = tmp_path / "data.npz", tmp_path / "whole.safetensors"
    np.savez(data, **batches(ids=np.arange(12), labels=np.arange(12) % 4))
    result = tmp_path / "run.json"
    common = [plan, "--data", data, "--lr", "0.01", "-q"]
    assert run(capsys, *common, "--save", whole, "--json", result)[0] == 0
    losses = json.loads(result.read_text())["losses"]
    assert len(losses) == 10 and losses[-1] < losses[0]
    parts, checkpoint = tmp_path / "parts.safetensors", tmp_path / "c.safetensors"
    first = tmp_path / "first.npz"
    np.savez(first, **batches(ids=np.arange(12), labels=np.arange(12) % 4))
    assert run(capsys, *common, "--steps", "4", "--checkpoint", checkpoint)[0] == 0
    assert run(capsys, *common, "--steps", "6", "--resume", checkpoint, "--save", parts)[0] == 0
    a, b = load_file(whole), load_file(parts)
    assert set(a) == {
        "embedding.weight",
        "first.weight",
        "first.bias",
        "second.weight",
        "second.bias",
    }
    assert all(np.array_equal(a[name], b[name]) for name in a)


def test_chooses_again_as_the_plan_says(capsys, write_model, tmp_path):
    """By measurements, beside PyTorch whose mask changes; what measures lies beside the plan."""
    path, result = tmp_path / "plan.mlir", tmp_path / "run.json"
    options = ["--recipe", "losia", "--ratio", "0.5", "--reselect", "3", "--calibrate", "2"]
    report = tmp_path / "report.json"
    arguments = [write_model(), "-o", path, *options, "--report", report]
    assert ssftc([str(argument) for argument in arguments]) == 0
    measuring = tmp_path / "plan.measure.mlir"
    assert measuring.exists()
    described = json.loads(report.read_text())
    assert described["reselect"] == 3
    assert any("no axis is permuted" in remark for remark in described["remarks"])
    common = [path, "--steps", "8", "--lr", "0.01", "-q"]
    status, _, errors = run(capsys, *common, "--compare-to=torch", "--json", result)
    assert status == 0, errors
    found = json.loads(result.read_text())
    assert found["equal"] and found["seconds_choosing"] > 0
    measuring.write_text(measuring.read_text() + "// changed")
    assert "does not hold the measuring step" in fails(capsys, *common)
    measuring.unlink()
    assert "is missing" in fails(capsys, *common)


def test_compares_with_torch(capsys, plan, tmp_path):
    result = tmp_path / "run.json"
    status, out, _ = run(
        capsys, plan, "--steps", "5", "--lr", "0.01", "--compare-to=torch", "--json", result
    )
    assert status == 0
    assert "every frozen parameter has kept its bytes" in out
    differences = json.loads(result.read_text())["differences"]
    assert {d["tensor"] for d in differences} == {"", "first.weight", "second.weight"}
    assert max(d["relative"] for d in differences) < 1e-5


def test_comparison_that_differs_fails(capsys, plan):
    status, out, _ = run(
        capsys, plan, "--steps", "3", "--lr", "0.01", "--compare-to=torch", "--tolerance", "0"
    )
    assert status == 1
    assert "DIFFERS" in out


HIDDEN = "torch.relu(self.first(self.embedding(ids)))"
DROPOUT = (HIDDEN, f"nn.functional.dropout({HIDDEN}, 0.5, self.training)")
HALF = ("return Net()", "return Net().bfloat16()")


@pytest.mark.parametrize("options", [[], ["--moments", "f32", "--master-weights"]])
def test_compares_half_precision_within_its_rounding(capsys, write_model, tmp_path, options):
    """Step by step; what rounding does not explain is seen, here another decay of the moments."""
    path, result = tmp_path / "half.mlir", tmp_path / "run.json"
    recipe = ["--recipe", "rows", "--ratio", "0.5"]
    assert ssftc([str(write_model(HALF)), "-o", str(path), *recipe, *options]) == 0
    common = [path, "--steps", "8", "--lr", "0.01", "--compare-to=torch"]
    status, out, _ = run(capsys, *common, "--json", result)
    assert status == 0, out
    assert "of bf16 weights each step is compared by itself" in out
    found = json.loads(result.read_text())
    assert found["tolerance"] == 1 / 16
    assert max(d["relative"] for d in found["differences"] if d["what"] == "exp_avg") > 1e-4
    status, out, _ = run(capsys, *common, "--tolerance", "1e-6")
    assert status == 1 and "DIFFERS" in out
    other = "def optimizer(p):\n    return torch.optim.AdamW(p, 2e-4, betas=(0.8, 0.999))\n"
    model = write_model(HALF, append=other)
    status, out, _ = run(capsys, *common, "--model", model)
    assert status == 1 and "DIFFERS" in out


def test_dropout_draws_the_same_in_both(capsys, write_model, tmp_path):
    path = tmp_path / "dropout.mlir"
    assert ssftc([str(write_model(DROPOUT)), "-o", str(path)]) == 0
    status, out, _ = run(capsys, path, "--steps", "3", "--seed", "5", "--compare-to=torch")
    assert status == 0 and "note:" not in out, out


def test_a_device_that_rounds_products_is_named(capsys, plan):
    comparing = ["--steps", "1", "--compare-to=torch", "--tolerance", "1e-6"]
    status, out, _ = run(capsys, plan, *comparing, "--device", "numpy:bf16")
    assert status == 1 and "compare with --device numpy" in out


@pytest.mark.parametrize(
    ("device", "exact"),
    [
        ("cpu", None),
        ("cpu:high", "cpu"),
        ("cpu:medium,avx2", "cpu:avx2"),
        ("ssft-hw:ssft-edge", "ssft-hw:ssft-edge:f32"),
        ("ssft-hw:ssft-edge:bf16", "ssft-hw:ssft-edge:f32"),
        ("ssft-hw:ssft-edge:f32", None),
        ("numpy:bf16", "numpy"),
        ("numpy:f32", None),
        ("numpy", None),
    ],
)
def test_devices_that_round_nothing(device, exact):
    assert exact_device(device) == exact


@pytest.mark.parametrize(
    ("value", "expected", "relative"),
    [
        ([1.0, 2.0], [1.0, 4.0], 0.5),
        ([np.nan, 2.0], [1.0, 2.0], np.inf),
        ([1.0, 2.0], [np.nan, 2.0], np.inf),
        ([np.nan, np.inf], [np.nan, np.inf], 0.0),
        ([np.inf, 3.0], [np.inf, 2.0], 0.5),
        ([np.inf, 2.0], [-np.inf, 2.0], np.inf),
        ([], [], 0.0),
    ],
)
def test_what_is_not_finite_is_no_small_difference(value, expected, relative):
    assert relative_difference(np.array(value), np.array(expected)) == relative


def test_constants_of_the_batch_reach_the_reference(capsys, write_model, tmp_path):
    model = write_model(
        ("def forward(self, ids, labels)", "def forward(self, ids, labels, scale=1.0)"),
        ("self.first(self.embedding(ids))", "scale * self.first(self.embedding(ids))"),
        ('"ids": torch.arange(6),', '"ids": torch.arange(6), "scale": 2.0,'),
    )
    path = tmp_path / "scaled.mlir"
    assert ssftc([str(model), "-o", str(path), "--recipe", "rows"]) == 0
    status, out, _ = run(capsys, path, "--steps", "3", "--compare-to=torch")
    assert status == 0, out
    assert "equal to masked dense PyTorch" in out


def test_missing_directory_is_found_before_training(capsys, plan, tmp_path):
    errors = fails(capsys, plan, "--save", tmp_path / "absent" / "w.safetensors")
    assert "does not exist" in errors


def test_evaluates_a_split_once_without_training(capsys, plan, tmp_path):
    data = tmp_path / "data.py"
    data.write_text(
        "import numpy as np\n"
        "def batches(split):\n"
        "    for i in range(3 if split == 'held_out' else 9):\n"
        "        yield {'ids': np.arange(6) + i, 'labels': np.arange(6) % 4}\n"
    )
    result = tmp_path / "run.json"
    assert run(capsys, plan, "--data", data, "--evaluate", "held_out", "--json", result)[0] == 0
    assert json.loads(result.read_text())["batches"] == 3


def test_evaluates_without_dropout_by_the_plan_of_a_model_in_eval_mode(
    capsys, write_model, tmp_path
):
    trained, result = tmp_path / "trained.safetensors", tmp_path / "run.json"
    plan, evaluating = tmp_path / "plan.mlir", tmp_path / "evaluating.mlir"
    options = ["--recipe", "rows", "--ratio", "0.5"]
    assert ssftc([str(write_model(DROPOUT)), "-o", str(plan), *options]) == 0
    assert run(capsys, plan, "--lr", "0.01", "-q", "--save", trained)[0] == 0
    status, _, errors = run(capsys, plan, "--evaluate", "all")
    assert status == 0 and "warning: the plan's model is in training mode" in errors
    assert "dropout" in errors and "--weights FILE" in errors

    model = write_model(DROPOUT, ("return Net()", "return Net().eval()"))
    assert ssftc([str(model), "-o", str(evaluating)]) == 0
    evaluate = ["--weights", trained, "--evaluate", "all", "--json", result]
    status, _, errors = run(capsys, evaluating, *evaluate)
    assert (status, errors) == (0, "")
    definition = load_model_file(model)
    network = definition.call("model")
    network.load_state_dict(torch_file(trained))
    with torch.no_grad():
        expected = float(network(**definition.call("batch")))
    assert json.loads(result.read_text())["loss"] == pytest.approx(expected, rel=1e-6)


def test_trains_on_from_the_weights_of_another_run(capsys, plan, tmp_path):
    """The same weights and fresh moments: not what training on would give, nor the plan's loss."""
    saved, result = tmp_path / "saved.safetensors", tmp_path / "run.json"
    common = [plan, "--lr", "0.01", "-q", "--json", result]
    assert run(capsys, *common, "--save", saved)[0] == 0
    losses = json.loads(result.read_text())["losses"]
    assert run(capsys, *common, "--weights", saved, "--compare-to=torch")[0] == 0
    found = json.loads(result.read_text())
    assert found["equal"] and found["losses"][0] < losses[-1]


@pytest.mark.parametrize(
    "options",
    [
        ("--weights", "w", "--resume", "c"),
        ("--weights", "w", "--adapter", "a"),
        ("--resume", "c", "--compare-to=torch"),
        ("--evaluate", "all", "--save", "w"),
        ("--evaluate", "all", "--compare-to=torch"),
    ],
)
def test_options_that_exclude_each_other(capsys, plan, options):
    status, _, errors = run(capsys, plan, *options)
    assert status == 2 and "cannot be used with" in errors


def test_missing_sidecar(capsys, plan, tmp_path):
    (tmp_path / "plan.safetensors").unlink()
    assert "plan.safetensors" in fails(capsys, plan)


def test_sidecar_with_another_hash(capsys, plan, tmp_path):
    sidecar = tmp_path / "plan.safetensors"
    data = bytearray(sidecar.read_bytes())
    data[-1] ^= 1
    sidecar.write_bytes(data)
    assert "sha256" in fails(capsys, plan) or "hash" in fails(capsys, plan)


def test_truncated_plan(capsys, plan):
    plan.write_text(plan.read_text()[:2000])
    fails(capsys, plan)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": np.arange(8)}, "ids"),
        ({"ids": np.arange(6) + 11}, "16"),
        ({"labels": np.arange(6)}, "labels"),
        ({"ids": np.arange(6) / 2}, "ids"),
    ],
    ids=["another-shape", "id-out-of-range", "label-out-of-range", "another-type"],
)
def test_batches_that_do_not_fit(capsys, plan, tmp_path, changes, message):
    data = tmp_path / "data.npz"
    np.savez(data, **batches(**changes))
    assert message in fails(capsys, plan, "--data", data)


def test_data_without_an_input(capsys, plan, tmp_path):
    data = tmp_path / "data.npz"
    np.savez(data, ids=np.arange(6))
    assert "labels" in fails(capsys, plan, "--data", data)


def test_non_finite_loss_keeps_the_checkpoint(capsys, plan, tmp_path):
    checkpoint = tmp_path / "c.safetensors"
    assert run(capsys, plan, "-q", "--steps", "1", "--checkpoint", checkpoint)[0] == 0
    good = checkpoint.read_bytes()
    errors = fails(capsys, plan, "--lr", "1e38", "--steps", "50", "--checkpoint", checkpoint)
    assert "loss is" in errors
    assert checkpoint.read_bytes() == good


def test_checkpoint_of_another_plan(capsys, plan, write_model, tmp_path):
    checkpoint, other = tmp_path / "c.safetensors", tmp_path / "other.mlir"
    assert run(capsys, plan, "-q", "--steps", "1", "--checkpoint", checkpoint)[0] == 0
    assert ssftc([str(write_model()), "-o", str(other), "--recipe", "full"]) == 0
    assert "another plan" in fails(capsys, other, "--resume", checkpoint)


def test_unknown_device(capsys, plan):
    assert "toaster" in fails(capsys, plan, "--device", "toaster")


def test_says_what_memory_a_step_works_on(capsys, plan, tmp_path):
    report = tmp_path / "run.json"
    code, output, _ = run(capsys, plan, "--steps", "1", "-v", "--no-cache", "--json", report)
    assert code == 0
    assert "compiled step: compiled now" in output and "memory of a step: " in output
    assert "compiled now" in run(capsys, plan, "--steps", "1", "-v")[1]
    assert "from the cache" in run(capsys, plan, "--steps", "1", "-v")[1]
    memory = json.loads(report.read_text())["memory_bytes"]
    parameters = 4 * (16 * 8 + 12 * 8 + 12 + 4 * 12 + 4)
    moments = 2 * 4 * (6 * 8 + 2 * 12)  # of half the rows of the linear layers
    scalars, inputs = 2 * 8, 2 * 6 * 8
    assert memory["arguments"] == parameters + moments + scalars + inputs
    assert memory["outputs"] == 4
    assert memory["alive"] <= memory["arena"]
