"""Weights written without torch are what safetensors reads."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import numpy as np
import pytest
from safetensors import safe_open

from ssft.compiler.diagnostics import UserError
from ssft.compiler.weights import Array, write_safetensors


def header(path) -> dict:
    data = path.read_bytes()
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("f64", np.linspace(-1, 1, 6).reshape(2, 3)),
        ("f32", np.array([[1.5, -0.0, np.inf]], np.float32)),
        ("f16", np.array([1.5, 2.5], np.float16)),
        ("i64", np.array([-(2**62), 7])),
        ("i32", np.array([[-1], [2]], np.int32)),
        ("i16", np.array([-3], np.int16)),
        ("i8", np.array([-128, 127], np.int8)),
        ("ui8", np.array([0, 255], np.uint8)),
        ("i1", np.array([True, False, True])),
        ("f32", np.array(2.5, np.float32)),
        ("f32", np.zeros((0, 3), np.float32)),
        ("f32", np.arange(12, dtype=np.float32).reshape(3, 4).T),
        ("f32", np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2]),
    ],
)
def test_round_trip(tmp_path, dtype, values):
    path = tmp_path / "w.safetensors"
    write_safetensors(path, {"a.weight": Array(dtype, values)})
    with safe_open(path, framework="numpy") as file:
        found = file.get_tensor("a.weight")
    assert found.dtype == values.dtype
    assert found.shape == values.shape
    np.testing.assert_array_equal(found, values)


def test_bfloat16_keeps_its_bits(tmp_path):
    path = tmp_path / "w.safetensors"
    bits = np.array([[0x3F80, 0xC000], [0x7F80, 0x0001]], np.uint16)
    write_safetensors(path, {"w": Array("bf16", bits)})
    entry = header(path)["w"]
    assert entry["dtype"] == "BF16"
    assert entry["shape"] == [2, 2]
    torch = pytest.importorskip("torch")
    with safe_open(path, framework="pt") as file:
        found = file.get_tensor("w")
    assert found.dtype == torch.bfloat16
    assert found.view(torch.int16).numpy().view(np.uint16).tolist() == bits.tolist()
    assert found[0].tolist() == [1.0, -2.0]


def test_several_arrays_and_metadata(tmp_path):
    path = tmp_path / "w.safetensors"
    arrays = {f"w{i}": Array("f32", np.full(i, i, np.float32)) for i in range(1, 5)}
    write_safetensors(path, arrays, {"base": "abc"})
    with safe_open(path, framework="numpy") as file:
        assert sorted(file.keys()) == sorted(arrays)
        assert file.metadata() == {"base": "abc"}
        assert file.get_tensor("w3").tolist() == [3, 3, 3]


def test_missing_directory_is_the_users_mistake(tmp_path):
    with pytest.raises(UserError, match="cannot write"):
        write_safetensors(tmp_path / "nowhere" / "w.safetensors", {})


FULL_DISK = """
import resource, sys
import numpy as np
from ssft.compiler.diagnostics import UserError
from ssft.compiler.weights import Array, write_safetensors
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_safetensors(sys.argv[1], {"w": Array("f64", np.zeros(10_000))})
except UserError as error:
    print(error.message)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit of file sizes")
def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"old")
    run = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(f"cannot write '{path}'")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["w.safetensors"]
