"""The MLIR of a captured step computes what its graph does: stock lowering, JIT, several steps."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ssft.compiler.frontend import capture, capture_file, load_model_file


class Classifier(nn.Module):
    """Embedding, dropout, normalisation and GELUs of both kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 8, padding_idx=0)
        self.norm = nn.LayerNorm(8)
        self.dropout = nn.Dropout(0.3)
        self.up, self.down = nn.Linear(8, 12), nn.Linear(12, 4)

    def forward(self, ids, labels):
        hidden = self.norm(self.dropout(self.embedding(ids)))
        hidden = F.gelu(self.up(hidden)) + F.gelu(self.up(hidden), approximate="tanh")
        return F.cross_entropy(self.down(hidden).flatten(0, 1), labels.flatten())


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: torch.optim.AdamW(p, lr=1e-2, weight_decay=0.1),
        lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9, dampening=0.5, nesterov=False),
    ],
    ids=["AdamW", "SGD"],
)
def test_float64_model_is_exact(optimizer, run_graph, run_native):
    labels = torch.randint(4, (3, 5))
    labels[0, 0] = -100
    ids = torch.randint(11, (3, 5))
    ids[1] = 0
    model = Classifier().double().train()
    batch = {"ids": ids, "labels": labels}
    captured = capture(model, batch, optimizer=optimizer, max_grad_norm=0.3)
    expected = run_graph(captured, seed=5)
    assert run_native(captured, seed=5).worst(expected) < 1e-12
    assert run_graph(captured, seed=6).worst(expected) > 1e-4  # the seed matters


def test_hugging_face_llama(examples, run_graph, run_native):
    captured = capture_file(load_model_file(examples / "hf_llama_gqa_sdpa.py"), max_grad_norm=1.0)
    expected = run_graph(captured, steps=2)
    assert run_native(captured, steps=2).worst(expected) < 2e-5
