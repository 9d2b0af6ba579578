"""Capturing models of any size without memory for their weights."""

from __future__ import annotations

import pytest
import torch

from ssft.compiler.diagnostics import UserError
from ssft.compiler.frontend import capture_file, load_model_file
from ssft.compiler.frontend.loss_module import is_fake
from ssft.compiler.plan_schema import read_signature

LARGE = """
import torch
from torch import nn

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(1_000_000, 100_000)
        self.head = nn.Linear(100_000, 1_000_000, bias=False)
        self.head.weight = self.table.weight
        self.memory = nn.LSTM(4, 4)

    def forward(self, ids, labels):
        return nn.functional.cross_entropy(self.head(self.table(ids)), labels)

def model():
    return Model().to(torch.bfloat16)

def batch():
    return {"ids": torch.zeros(8, dtype=torch.long), "labels": torch.zeros(8, dtype=torch.long)}
"""


@pytest.fixture
def large(tmp_path):
    (tmp_path / "large.py").write_text(LARGE)
    return load_model_file(tmp_path / "large.py")


def test_four_hundred_gigabytes(large):
    captured = capture_file(large, abstract=True)
    assert all(is_fake(weight) for weight in captured.weights.values())
    signature = read_signature(captured.module)
    (table,) = signature.with_role("trainable")
    assert (table.shape, table.dtype) == ((1_000_000, 100_000), "bf16")
    assert table.aliases == ("head.weight",)  # converting the dtype has kept the tie
    assert {a.name: a.range for a in signature.inputs} == {
        "ids": (0, 1_000_000),
        "labels": (0, 1_000_000),
    }


def test_same_module_as_with_data(examples):
    definition = load_model_file(examples / "tiny_llama.py")
    assert str(capture_file(definition, abstract=True).module) == str(
        capture_file(definition).module
    )


def test_conversion_is_as_before_afterwards(large):
    capture_file(large, abstract=True)
    layer = torch.nn.Linear(2, 2)
    weight = layer.weight
    assert layer.double().weight is weight


def test_reading_values_is_explained(tmp_path):
    text = LARGE.replace("Model().to(torch.bfloat16)", "print(float(torch.ones(1)))")
    (tmp_path / "model.py").write_text(text)
    with pytest.raises(UserError) as raised:
        capture_file(load_model_file(tmp_path / "model.py"), abstract=True)
    assert "tensors have no data here (--abstract)" in raised.value.notes[-1]
