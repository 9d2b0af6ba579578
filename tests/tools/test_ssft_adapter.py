"""``ssft-adapter`` on files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ssft.compiler.tensor_files import read_safetensors
from ssft.compiler.weights import Array, write_safetensors
from ssft.runtime.adapters import Adapter, Part, load_adapter, save_adapter
from ssft.runtime.adapters.adapter import tensor_hash
from ssft.runtime.tools.ssft_adapter import main

BASE = {
    "fc.weight": Array("f32", np.arange(12, dtype=np.float32).reshape(3, 4)),
    "fc.bias": Array("f32", np.zeros(3, np.float32)),
}


def adapter(columns: list[int], add: float) -> Adapter:
    indices = np.array(columns, np.int64)
    before = BASE["fc.weight"].data[:, indices]
    values = (before + add).astype(np.float32)
    part = Part("fc.weight", (3, 4), "f32", None, indices, values, before)
    hashes = {name: tensor_hash(array) for name, array in BASE.items()}
    return Adapter((part,), hashes, {}, {"method": "paca"})


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write_safetensors(tmp_path / "base.safetensors", BASE, {"format": "pt"})
    save_adapter(tmp_path / "a.safetensors", adapter([0, 2], 1))
    save_adapter(tmp_path / "b.safetensors", adapter([2, 3], 10))
    return tmp_path


def run(*arguments: object, status: int = 0) -> None:
    assert main([str(a) for a in arguments]) == status


def test_info(files: Path, capsys: pytest.CaptureFixture[str]):
    run("info", files / "a.safetensors")
    text = capsys.readouterr().out
    assert "6 elements of 1 parameters; method paca" in text
    assert adapter([0, 2], 1).base_hash in text
    assert "fc.weight" in text and "3x4" in text and "2.45" in text  # sqrt(6)


def test_applied_and_removed_again(files: Path):
    tuned, again = files / "tuned.safetensors", files / "again.safetensors"
    run("apply", files / "a.safetensors", files / "base.safetensors", "-o", tuned)
    found = read_safetensors(tuned)
    expected = BASE["fc.weight"].data.copy()
    expected[:, [0, 2]] += 1
    np.testing.assert_array_equal(found.arrays["fc.weight"].data, expected)
    assert found.metadata == {"format": "pt"}
    run("remove", files / "a.safetensors", tuned, "-o", again)
    assert again.read_bytes() == (files / "base.safetensors").read_bytes()


def test_fuse_reports_what_overlaps(files: Path, capsys: pytest.CaptureFixture[str]):
    both = files / "both.safetensors"
    run("fuse", files / "a.safetensors", files / "b.safetensors", "-o", both)
    assert capsys.readouterr().out.splitlines() == [
        "9 elements; 3 are changed by several adapters",
        "  fc.weight: 3",
    ]
    (part,) = load_adapter(both).parts
    np.testing.assert_array_equal(part.values - part.base, [[1, 11, 10]] * 3)


def test_to_peft_and_back(files: Path):
    run("to-peft", files / "a.safetensors", "-o", files / "lora", "--base-model", "me/base")
    config = json.loads((files / "lora" / "adapter_config.json").read_text())
    assert (config["r"], config["base_model_name_or_path"]) == (2, "me/base")
    back = files / "back.safetensors"
    run("from-peft", files / "lora", files / "base.safetensors", "-o", back)
    (part,), (expected,) = load_adapter(back).parts, adapter([0, 2], 1).parts
    np.testing.assert_array_equal(part.columns, expected.columns)
    np.testing.assert_array_equal(part.values, expected.values)


@pytest.mark.parametrize(
    ("arguments", "message", "status"),
    [
        (("apply", "a", "a", "-o", "out"), "the weights lack 'fc.weight'", 1),
        (("remove", "a", "base", "-o", "out"), "cannot be taken off", 1),
        (("apply", "base", "base", "-o", "out"), "is not an adapter", 1),
        (("apply", "absent", "base", "-o", "out"), "No such file", 1),
        (("apply", "a", "base", "-o", "base"), "would overwrite an input", 2),
        (("apply", "a", "base", "-o", "absent/out"), "does not exist", 1),
        (("from-peft", ".", "base", "-o", "out"), "cannot read", 1),
    ],
)
def test_mistakes(files, capsys, monkeypatch, arguments, message, status):
    monkeypatch.chdir(files)
    names = {name: f"{name}.safetensors" for name in ("a", "base", "out", "absent")}
    run(*(names.get(argument, argument) for argument in arguments), status=status)
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert not (files / "out.safetensors").exists()
