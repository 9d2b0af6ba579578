"""Whole steps of small transformers against PyTorch: losses, moments and weights over steps."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import pytest

STEPS = 5


def transformer(dtype: str) -> tuple[Any, dict[str, Any]]:
    """A decoder that computes everything in one precision, and a batch."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(32), nn.LayerNorm(32)
            self.query, self.value = nn.Linear(32, 32), nn.Linear(32, 32)
            self.key = nn.Linear(32, 32, bias=False)  # the gradient of its bias is zero
            self.output = nn.Linear(32, 32)
            self.up, self.down = nn.Linear(32, 48), nn.Linear(48, 32)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.norm1(x)
            q, k, v = (
                layer(h).unflatten(-1, (4, 8)).transpose(1, 2)
                for layer in (self.query, self.key, self.value)
            )
            h = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.output(h.transpose(1, 2).flatten(2))
            return x + self.down(functional.gelu(self.up(self.norm2(x))))

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(50, 32)
            self.blocks = nn.ModuleList(Block() for _ in range(2))
            self.head = nn.Linear(32, 50, bias=False)

        def forward(self, tokens: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            x = self.embedding(tokens)
            for block in self.blocks:
                x = block(x)
            return functional.cross_entropy(self.head(x).flatten(0, 1), labels.flatten())

    torch.manual_seed(0)
    tokens = torch.randint(50, (2, 13))
    model = Model().to(getattr(torch, dtype))
    return model, {"tokens": tokens[:, :-1].contiguous(), "labels": tokens[:, 1:].contiguous()}


def largest_difference(pairs: list[tuple[Any, Any]]) -> float:
    """Relative to the largest element of each pair's second array."""
    import numpy as np

    return max(float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30)) for a, b in pairs if b.size)


def check(dtype: str, method: str) -> dict[str, Any]:
    import torch

    from ssft.compiler import Recipe
    from ssft.compiler.api import compile
    from ssft.runtime import Session
    from ssft.runtime.torch_bridge import MaskedTraining, plan_masks

    def optimizer(parameters: Any) -> torch.optim.Optimizer:
        # A large epsilon: the update is a smooth function of the gradient where that is tiny.
        return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01, eps=1e-4)

    model, batch = transformer(dtype)
    recipe = Recipe.parse({"method": method, "ratio": 0.25})
    plan = compile(model, batch, optimizer=optimizer, recipe=recipe, max_grad_norm=1.0)
    with tempfile.TemporaryDirectory() as folder:
        plan.save(f"{folder}/plan.mlir")
        session = Session(f"{folder}/plan.mlir")
    oracle = MaskedTraining(model, plan_masks(session.signature), optimizer, max_grad_norm=1.0)
    frozen = {a.name for a in session.signature.with_role("frozen")}
    before = session.state_dict()
    losses = [(session.step(batch), oracle.step(batch)) for _ in range(STEPS)]
    after, states = session.state_dict(), session.optimizer_state()
    named = dict(model.named_parameters())
    return {
        "losses": max(abs(a - b) / abs(b) for a, b in losses),
        "learns": losses[-1][0] < losses[0][0],
        "weights": largest_difference(
            [(after[name], p.detach().numpy()) for name, p in named.items()]
        ),
        "states": largest_difference(
            [
                (array, oracle.state(name, key).numpy())
                for name, entries in states.items()
                for key, array in entries.items()
            ]
        ),
        "frozen": all(after[name].tobytes() == before[name].tobytes() for name in frozen),
        "steps": session.step_count,
        "evaluation": abs(session.evaluate(batch) / float(oracle.forward(batch).detach()) - 1),
    }


@pytest.mark.parametrize("method", ["full", "s2ft"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-5), ("float64", 1e-12)])
def test_training_equals_pytorch(
    isolated: Callable[..., Any], dtype: str, tolerance: float, method: str
) -> None:
    found = isolated("check", dtype, method)
    assert found["steps"] == STEPS
    assert found["learns"]
    assert found["frozen"]
    for quantity in ("losses", "weights", "states", "evaluation"):
        assert found[quantity] < tolerance, (quantity, found)
