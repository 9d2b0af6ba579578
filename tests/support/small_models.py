"""Small models for differential tests: a loss and its parameters, trained beside the oracle."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from side_by_side import Captured, train_both
from torch import Tensor, nn
from torch.nn import functional as F

from ssft.compiler import Recipe
from ssft.compiler.frontend import capture
from ssft.compiler.plan import Plan

Function = Callable[[Any, Mapping[str, Tensor]], Tensor]


class Model(nn.Module):
    """A loss as a function of (module, batch), whose parameters are `members`."""

    def __init__(self, function: Function, members: Mapping[str, Any]) -> None:
        super().__init__()
        self.function = function
        for name, member in members.items():
            value = nn.Parameter(member) if isinstance(member, Tensor) else member
            setattr(self, name, value)

    def forward(self, **batch: Tensor) -> Tensor:
        return self.function(self, batch)


def adamw(parameters):
    return torch.optim.AdamW(parameters, lr=1e-2, weight_decay=0.1)


def captured(
    model: nn.Module,
    batch: Mapping[str, Tensor],
    optimizer: Callable[..., torch.optim.Optimizer] = adamw,
    max_grad_norm: float | None = 0.5,
) -> Captured:
    """Captures `model` in double precision."""
    model = model.double()
    batch = {k: v.double() if v.is_floating_point() else v for k, v in batch.items()}
    definition = SimpleNamespace(optimizer=optimizer, loss=None)
    made = Captured(definition, copy.deepcopy(model), batch, "", "f64", max_grad_norm)
    with made.precision():
        step = capture(model, batch, optimizer=optimizer, max_grad_norm=max_grad_norm)
    made.text = step.module.operation.get_asm(enable_debug_info=True)
    return made


def masks(*texts: str, train: tuple[str, ...] = ()) -> Recipe:
    return Recipe("explicit", masks=texts, train=train)


def check(made: Captured, recipe: Recipe, steps: int = 3) -> Plan:
    plan = made.compile(recipe)
    found = train_both(made, plan, steps)
    worst, what = found.largest("loss", "gradient", "moment", "weight")
    assert worst <= 1e-12, what
    assert found.frozen_changed == []
    # What is compared must have trained at all.
    assert len(set(found.losses)) == steps
    return plan


def assert_close(value: np.ndarray, expected: Tensor) -> None:
    wanted = expected.detach().numpy()
    np.testing.assert_allclose(value, wanted, rtol=1e-12, atol=1e-12 * np.abs(wanted).max())


def data(*shape: int) -> Tensor:
    return torch.randn(*shape)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 6), nn.Linear(6, 6)
        self.norm, self.c = nn.LayerNorm(6), nn.Linear(6, 3)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        hidden = torch.tanh(self.b(torch.relu(self.a(x))))
        return F.cross_entropy(self.c(self.norm(hidden)), y, label_smoothing=0.1)


def network_batch() -> dict[str, Tensor]:
    return {"x": data(5, 4), "y": torch.tensor([0, 2, -100, 1, 1])}


UNION = "rows=0+3:columns=1+2:union"
