"""``ssftc`` as a user calls it: what it writes, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys

import pytest

from ssft.compiler.plan_schema import read_signature
from ssft.compiler.tools.ssftc import main
from ssft.dialects import new_context
from ssft.dialects._mlir import ir

ERROR = re.compile(r"^\S.*: error: [^A-Z\n].*[^.\n]$")


def run(capsys, *arguments) -> tuple[int, str]:
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as exit_:
        status = exit_.code
    return status, capsys.readouterr().err


def fails(capsys, *arguments, status: int = 1) -> str:
    """Runs ssftc, checks the form of its error, and returns all that it printed to stderr."""
    code, errors = run(capsys, *arguments)
    assert code == status, errors
    assert "Traceback" not in errors
    first = errors.splitlines()[0]
    assert ERROR.match(first), first
    return errors


def signature_of(path):
    return read_signature(ir.Module.parse(path.read_text(), new_context()))


def test_writes_plan_sidecar_and_report(capsys, write_model, tmp_path):
    plan, report = tmp_path / "plan.mlir", tmp_path / "report.json"
    status, errors = run(
        capsys, write_model(), "-o", plan, "--recipe", "rows", "--ratio", "0.25", "--report", report
    )
    assert (status, errors) == (0, "")
    assert (tmp_path / "plan.safetensors").exists()
    masks = {mask["name"]: mask for mask in json.loads(report.read_text())["masks"]}
    assert set(masks) == {"first.weight", "second.weight"}
    assert len(masks["first.weight"]["rows"]) == 3
    signature = signature_of(plan)
    assert signature.weights.file == "plan.safetensors"
    assert [a.shape for a in signature.states_of("first.weight")["exp_avg"]] == [(3, 8)]


def test_abstract_plan_has_no_sidecar(capsys, write_model, tmp_path):
    plan = tmp_path / "plan.mlir"
    assert run(capsys, write_model(), "-o", plan, "--abstract")[0] == 0
    assert signature_of(plan).weights is None
    assert list(tmp_path.glob("*.safetensors")) == []


def test_emits_and_starts_from_the_linalg_stage(capsys, write_model, tmp_path):
    linalg, plan = tmp_path / "step.mlir", tmp_path / "plan.mlir"
    assert run(capsys, write_model(), "--emit=linalg", "-o", linalg)[0] == 0
    assert '"ssft.update"(' not in linalg.read_text()
    assert run(capsys, linalg, "-o", plan, "--recipe", "rows")[0] == 0
    assert '"ssft.update"(' in plan.read_text()


def test_dumps_every_stage(capsys, write_model, tmp_path):
    stages = tmp_path / "stages"
    status, errors = run(capsys, write_model(), "-o", tmp_path / "p.mlir", "--dump-stages", stages)
    assert status == 0, errors
    names = sorted(path.name for path in stages.iterdir())
    assert names == ["00_torch.mlir", "01_linalg.mlir", "02_ssft.mlir", "03_llvm.mlir"]
    assert "torch.aten" in (stages / "00_torch.mlir").read_text()
    assert "llvm.func" in (stages / "03_llvm.mlir").read_text()


def test_explicit_mask(capsys, write_model, tmp_path):
    plan = tmp_path / "plan.mlir"
    mask = "first.weight:rows=0-2+5:columns=1"
    assert run(capsys, write_model(), "-o", plan, "--recipe", "explicit", "--mask", mask)[0] == 0
    trained = list(signature_of(plan).with_role("trainable"))
    assert [a.name for a in trained] == ["first.weight"]
    assert trained[0].mask.rows == (0, 1, 2, 5)
    assert trained[0].mask.columns == (1,)


@pytest.mark.parametrize(
    ("replace", "append", "message"),
    [
        ([("def model", "def build")], "", "does not define model()"),
        ([("return Net()", "return 3")], "", "not a torch.nn.Module"),
        ([('return {"ids"', 'return [{"ids"'), ("% 4}", "% 4}]")], "", "not a mapping"),
        (
            [("return nn.functional.cross_entropy(", "return (")],
            "",
            "loss",
        ),
        (
            [],
            "\ndef optimizer(params):\n    return torch.optim.AdamW(params, differentiable=True)\n",
            "differentiable",
        ),
        (
            [],
            "\ndef optimizer(params):\n    return torch.optim.Adagrad(params)\n",
            "Adagrad",
        ),
        (
            [("hidden = torch.relu", "ids = ids[ids > 2]\n        hidden = torch.relu")],
            "",
            "",
        ),
        (
            [
                (
                    "self.embedding(ids)))",
                    "self.embedding(ids))); hidden = torch.linalg.qr(hidden)[1]",
                )
            ],
            "",
            "unsupported operation: aten.linalg",
        ),
    ],
    ids=[
        "no-model",
        "no-module",
        "batch-no-mapping",
        "loss-not-scalar",
        "optimizer-option",
        "optimizer-kind",
        "dynamic-shape",
        "unsupported-operation",
    ],
)
def test_mistakes_in_the_model_file(capsys, write_model, tmp_path, replace, append, message):
    plan = tmp_path / "plan.mlir"
    errors = fails(capsys, write_model(*replace, append=append), "-o", plan)
    assert message in errors
    assert not plan.exists()


@pytest.mark.parametrize(
    ("arguments", "message", "status"),
    [
        (["--recipe", "explicit", "--mask", "first.weight:rows=12"], "row 12 is out of range", 1),
        (["--recipe", "explicit", "--mask", "third.weight:rows=1"], "matches no trainable", 1),
        (["--recipe", "explicit", "--mask", "first.weight:rows=x"], "no index or range", 1),
        (["--recipe", "magic"], "unknown method 'magic'", 2),
        (["--recipe", "rows", "--ratio", "1.5"], "ratio", 2),
        (["--recipe", "nowhere.toml"], "nowhere.toml", 1),
    ],
)
def test_mistakes_in_the_recipe(capsys, write_model, tmp_path, arguments, message, status):
    plan = tmp_path / "plan.mlir"
    assert message in fails(capsys, write_model(), "-o", plan, *arguments, status=status)
    assert not plan.exists()


def test_two_masks_for_one_parameter_are_united(write_model, tmp_path):
    plan, report = tmp_path / "plan.mlir", tmp_path / "r.json"
    masks = ["first.weight:rows=0+1:columns=0", "first.weight:rows=1+3:columns=1"]
    arguments = [option for mask in masks for option in ("--mask", mask)]
    run = [write_model(), "-o", plan, "--recipe", "explicit", *arguments, "--report", report]
    assert main([str(argument) for argument in run]) == 0
    entries = json.loads(report.read_text())["masks"]
    found = {(r, c) for e in entries for r in e["rows"] for c in e["columns"]}
    assert {e["name"] for e in entries} == {"first.weight"}
    assert found == {(0, 0), (1, 0), (1, 1), (3, 1)}
    assert sum(len(e["rows"]) * len(e["columns"]) for e in entries) == 4


def test_plan_cannot_be_masked_again(capsys, write_model, tmp_path):
    plan = tmp_path / "plan.mlir"
    assert run(capsys, write_model(), "-o", plan)[0] == 0
    again = ["-o", tmp_path / "again.mlir", "--recipe", "rows"]
    assert "is a plan already" in fails(capsys, plan, *again)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--gradients"], "--gradients comes too late"),
        (["--max-grad-norm", "1"], "--max-grad-norm comes too late"),
        (["--moments", "f32"], "--moments comes too late"),
        (["--abstract"], "--abstract comes too late"),
    ],
)
def test_options_of_models_are_not_ignored_with_plans(capsys, tmp_path, options, message):
    plan = tmp_path / "plan.mlir"
    plan.write_text("module attributes {ssft.version = 1 : i64} { func.func @step() { return } }")
    assert message in fails(capsys, plan, "-o", tmp_path / "again.mlir", *options, status=2)


def test_an_unknown_callee_is_one_line(capsys, tmp_path):
    plan = tmp_path / "plan.mlir"
    plan.write_text(
        "func.func @step() {\n"
        "  call @repeated_9() : () -> () "
        'loc(callsite("<backward>" at fused["model.py":7:3, "b.py":1:2]))\n'
        "  return\n}\n"
    )
    errors = fails(capsys, plan, "-o", tmp_path / "again.mlir").splitlines()
    assert errors == [
        f"{plan}: error: 'func.call' op 'repeated_9' does not reference a valid function",
        f"{plan}: note: the operation comes from model.py:7:3",
    ]


def test_a_plan_through_a_pipe(tmp_path):
    plan = tmp_path / "plan.mlir"
    plan.write_text("module attributes {ssft.version = 1 : i64} { func.func @step() { return } }")
    done = subprocess.run(
        [sys.executable, "-m", "ssft.compiler.tools.ssftc", plan, "-o", "/dev/stdout"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "func.func @step" in done.stdout


def test_nothing_trains_is_said(capsys, write_model, tmp_path):
    status, errors = run(capsys, write_model(), "-o", tmp_path / "p.mlir", "--recipe", "explicit")
    assert status == 0
    assert "warning: nothing trains" in errors


def test_no_output_file(capsys, write_model):
    assert "no output file" in fails(capsys, write_model(), status=2)


def test_missing_model_file(capsys, tmp_path):
    assert "no model file" in fails(capsys, tmp_path / "absent.py", "-o", tmp_path / "p.mlir")


def test_directory_that_is_not_there(capsys, write_model, tmp_path):
    fails(capsys, write_model(), "-o", tmp_path / "absent" / "plan.mlir")


def test_full_disk_leaves_the_old_plan(write_model, tmp_path):
    """The process may write files of 1 KiB only, as if the disk were full."""
    plan = tmp_path / "plan.mlir"
    plan.write_text("// the old plan")
    old = set(os.listdir(tmp_path))
    model = write_model()

    def limit() -> None:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))

    # --emit: the plan alone; its weights are small enough to fit.
    done = subprocess.run(
        [sys.executable, "-m", "ssft.compiler.tools.ssftc", model, "-o", plan],
        capture_output=True,
        text=True,
        preexec_fn=limit,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert done.returncode == 1
    assert "cannot write" in done.stderr and "Traceback" not in done.stderr
    assert plan.read_text() == "// the old plan"
    assert set(os.listdir(tmp_path)) - old <= {"model.py", "__pycache__"}
