"""The Python in the README runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_code_blocks_run_one_after_the_other(tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) == 2
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    assert 5 < names["loss"] < 10
    assert (tmp_path / "plan.mlir").exists() and (tmp_path / "plan.safetensors").exists()
    assert "model.layers.0.mlp.down_proj.weight" in names["weights"]
