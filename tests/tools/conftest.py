from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

MLP = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(16, 8)
        self.first = nn.Linear(8, 12)
        self.second = nn.Linear(12, 4)

    def forward(self, ids, labels):
        hidden = torch.relu(self.first(self.embedding(ids)))
        return nn.functional.cross_entropy(self.second(hidden), labels)


def model():
    torch.manual_seed(0)
    return Net()


def batch():
    return {"ids": torch.arange(6), "labels": torch.arange(6) % 4}
"""


@pytest.fixture
def write_model(tmp_path) -> Callable[..., Path]:
    """Writes the small model file, with `replace` applied and `append` at its end."""

    def write(*replace: tuple[str, str], append: str = "") -> Path:
        text = MLP
        for old, new in replace:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "model.py"
        path.write_text(text + append)
        return path

    return write
