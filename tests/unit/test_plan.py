"""Plans on disk: text, weights in stored order, and what a failure leaves."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from ssft.compiler.diagnostics import UserError
from ssft.compiler.driver import parse_module
from ssft.compiler.files import sha256_of
from ssft.compiler.plan import Plan
from ssft.compiler.plan_schema import read_signature
from ssft.compiler.weights import Array
from ssft.dialects import new_context
from ssft.dialects._mlir import ir

TEXT = """
module attributes {
    ssft.method = "s2ft",
    ssft.permutations = {a = {size = 4 : i64, front = array<i64: 2>}}
} {
  func.func @step(
      %w: tensor<3x4xf32> {ssft.role = "trainable", ssft.name = "w", ssft.permuted = ["3", "a"],
                           ssft.mask = {columns = array<i64: 2>, combine = "intersection"}},
      %s: tensor<f32> {ssft.role = "frozen", ssft.name = "s"}
  ) -> (tensor<3x4xf32> {ssft.updates_arg = 0 : i64}) {
    return %w : tensor<3x4xf32>
  }
}
"""
W = np.arange(12, dtype=np.float32).reshape(3, 4)


def plan(weights: bool = True) -> Plan:
    context = new_context()
    with context, ir.Location.file("model.py", 7, 1):
        module = ir.Module.parse(TEXT)
    arrays = {"w": Array("f32", W), "s": Array("f32", np.array(2.0, np.float32))}
    return Plan(context, module, arrays if weights else None)


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def test_text_and_sidecar(tmp_path):
    plan().save(tmp_path / "plan.mlir")
    assert names(tmp_path) == ["plan.mlir", "plan.safetensors"]
    _context, module = parse_module(tmp_path / "plan.mlir")
    signature = read_signature(module)
    assert signature.weights is not None
    assert signature.weights.file == "plan.safetensors"
    assert signature.weights.sha256 == sha256_of(tmp_path / "plan.safetensors")
    assert signature.method == "s2ft"


def test_weights_are_stored_as_the_step_wants_them(tmp_path):
    plan().save(tmp_path / "plan.mlir")
    found = load_file(tmp_path / "plan.safetensors")
    np.testing.assert_array_equal(found["w"], W[:, [2, 0, 1, 3]])
    assert found["s"].shape == () and found["s"] == 2


def test_an_abstract_plan_has_no_sidecar(tmp_path):
    plan(weights=False).save(tmp_path / "plan.mlir")
    assert names(tmp_path) == ["plan.mlir"]
    _context, module = parse_module(tmp_path / "plan.mlir")
    assert read_signature(module).weights is None


def test_the_text_parses_back():
    original = plan()
    text = original.text()
    with new_context(), ir.Location.unknown():
        again = ir.Module.parse(text)
    assert again.operation.get_asm(enable_debug_info=True) + "\n" == text
    assert "loc(" not in original.text(locations=False)


@pytest.mark.parametrize("fails", ["weights", "text"])
def test_a_failure_leaves_both_old_files(tmp_path, monkeypatch, fails):
    path = tmp_path / "plan.mlir"
    plan().save(path)
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    if fails == "weights":
        monkeypatch.setattr("ssft.compiler.plan.serialize", full)
    else:
        monkeypatch.setattr(Path, "write_text", full)
    changed = plan()
    changed.weights = {"w": Array("f32", W + 1), "s": Array("f32", np.array(3.0, np.float32))}
    with pytest.raises(UserError, match="No space left on device"):
        changed.save(path)
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before


def test_a_plan_is_not_its_own_sidecar(tmp_path):
    with pytest.raises(UserError, match="its weights go to this file"):
        plan().save(tmp_path / "plan.safetensors")
    assert names(tmp_path) == []


def test_a_device_gets_the_text_alone():
    plan().save(os.devnull)
    assert not Path(os.devnull).with_suffix(".safetensors").exists()


def test_standard_output_gets_the_text_alone(tmp_path, capfd):
    """Also where it goes to a file: the weights would lie beside a device."""
    plan().save("/dev/stdout")
    assert "func.func @step" in capfd.readouterr().out
    assert not Path("/dev/stdout.safetensors").exists()
