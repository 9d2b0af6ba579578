"""Arrays of files take memory only while they are read."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from ssft.compiler.tensor_files import read_safetensors, release
from ssft.compiler.weights import Array, write_safetensors


def resident(path: Path) -> int:
    """Bytes of a mapped file that this process has in memory."""
    total, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ")[0]:
            inside = line.endswith(str(path))
        elif inside and line.startswith("Rss:"):
            total += 1024 * int(line.split()[1])
    return total


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_released_arrays_take_no_memory_and_can_be_read_again(tmp_path: Path):
    path, data = tmp_path / "weights.safetensors", np.arange(1 << 20, dtype=np.float64)
    write_safetensors(path, {"w": Array("f64", data)})
    stored = read_safetensors(path).arrays["w"]
    assert stored.data.sum() == data.sum()
    assert resident(path) >= data.nbytes
    release(stored)
    assert resident(path) < 1 << 16
    assert np.array_equal(stored.data, data)


def test_other_arrays_stay_as_they_are():
    array = Array("f32", np.ones((2, 3), np.float32)[:, 1:])
    release(array)
    assert array.data.sum() == 4
