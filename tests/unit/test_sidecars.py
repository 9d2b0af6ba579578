"""Plans that tools make of plans: the files that they name come along, and nothing is lost."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from ssft.compiler.diagnostics import UserError
from ssft.compiler.plan_schema import WeightsFile
from ssft.compiler.sidecars import copy_sidecars, sidecars_of
from ssft.compiler.tools.ssft_opt import main as ssft_opt
from ssft.compiler.tools.ssftc import main as ssftc
from ssft.dialects import new_context
from ssft.dialects._mlir import ir

PLAN = """
module attributes {{
  ssft.version = 1 : i64,
  ssft.weights = {{file = "{file}", sha256 = "{digest}"}}
}} {{
  func.func @step(%w: tensor<4xf32> {{ssft.role = "trainable", ssft.name = "w"}})
      -> (tensor<4xf32> {{ssft.updates_arg = 0 : i64}}) {{
    return %w : tensor<4xf32>
  }}
}}
"""
DATA = b"the weights"


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """A plan with its weights, in a folder of its own beside an empty one."""
    old = tmp_path / "old"
    old.mkdir()
    (tmp_path / "new").mkdir()
    (old / "w.safetensors").write_bytes(DATA)
    path = old / "plan.mlir"
    path.write_text(PLAN.format(file="w.safetensors", digest=hashlib.sha256(DATA).hexdigest()))
    return path


@pytest.fixture(params=["ssft-opt", "ssftc"])
def rewrite(request: pytest.FixtureRequest):
    """A tool that makes a plan of a plan."""
    if request.param == "ssft-opt":
        return lambda source, target: ssft_opt([str(source), "--cse", "-o", str(target)])
    return lambda source, target: ssftc([str(source), "-o", str(target)])


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def test_weights_come_along_to_another_folder(plan: Path, tmp_path: Path, rewrite):
    new = tmp_path / "new"
    assert rewrite(plan, new / "other.mlir") == 0
    assert names(new) == ["other.mlir", "w.safetensors"]
    assert (new / "w.safetensors").read_bytes() == DATA
    module = ir.Module.parse((new / "other.mlir").read_text(), new_context())
    ((key, named),) = sidecars_of(module.operation)
    assert key == "ssft.weights"
    assert named == WeightsFile("w.safetensors", hashlib.sha256(DATA).hexdigest())
    before = os.stat(new / "w.safetensors")
    assert rewrite(plan, new / "third.mlir") == 0
    assert os.stat(new / "w.safetensors").st_ino == before.st_ino, "plans share the copy"


def test_nothing_is_copied_within_a_folder(plan: Path, rewrite):
    assert rewrite(plan, plan.with_name("other.mlir")) == 0
    assert names(plan.parent) == ["other.mlir", "plan.mlir", "w.safetensors"]


def test_other_weights_are_not_overwritten(plan: Path, tmp_path: Path, rewrite, capsys):
    new = tmp_path / "new"
    (new / "w.safetensors").write_bytes(b"others")
    assert rewrite(plan, new / "other.mlir") == 1
    errors = capsys.readouterr().err
    assert "cannot be put beside" in errors and "another folder" in errors
    assert names(new) == ["w.safetensors"]
    assert (new / "w.safetensors").read_bytes() == b"others"


def test_what_is_not_there_is_not_copied(plan: Path, tmp_path: Path, rewrite):
    (plan.parent / "w.safetensors").unlink()
    assert rewrite(plan, tmp_path / "new" / "other.mlir") == 0
    assert names(tmp_path / "new") == ["other.mlir"]


def test_devices_have_no_folder(plan: Path):
    copy_sidecars([("ssft.weights", WeightsFile("w.safetensors", ""))], plan, os.devnull)
    assert not Path("/dev/w.safetensors").exists()


@pytest.mark.parametrize("file", ["../secret", "/etc/hostname", "..", ""])
def test_files_elsewhere_are_left_alone(plan: Path, tmp_path: Path, file: str):
    (tmp_path / "secret").write_text("secret")
    new = tmp_path / "new" / "deeper"
    new.mkdir()
    copy_sidecars([("ssft.weights", WeightsFile(file, ""))], plan, new / "plan.mlir")
    assert names(new) == [] and names(new.parent) == ["deeper"]


def test_a_failed_copy_leaves_no_plan(plan: Path, tmp_path: Path, monkeypatch, capsys):
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ssft.compiler.sidecars.shutil.copyfile", full)
    with pytest.raises(UserError, match="No space left"):
        copy_sidecars(
            [("ssft.weights", WeightsFile("w.safetensors", ""))], plan, tmp_path / "new" / "p.mlir"
        )
    assert ssft_opt([str(plan), "-o", str(tmp_path / "new" / "p.mlir")]) == 1
    assert names(tmp_path / "new") == []


@pytest.mark.parametrize("entry", ["5 : i64", '{file = "a"}', "{file = 1 : i64, sha256 = 2 : i64}"])
def test_modules_that_are_no_plans_name_nothing(entry: str):
    module = ir.Module.parse(f"module attributes {{ssft.weights = {entry}}} {{}}", new_context())
    assert sidecars_of(module.operation) == []
