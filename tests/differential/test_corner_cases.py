"""Small models that are wrong in training if some unusual path is: all against masked PyTorch.

Gradients, moments, weights and losses must agree to 1e-12 over clipped and unclipped steps.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
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


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def data(*shape: int) -> Tensor:
    return torch.randn(*shape)


# Models: name -> () -> (function, parameters, batch).


def tied() -> tuple[Function, dict, dict]:
    """The gradient of the table is the sum of a scatter and a product."""

    def loss(m, b):
        logits = F.gelu(m.hidden(F.embedding(b["ids"], m.table))) @ m.table.T
        return F.cross_entropy(logits.flatten(0, 1), b["ids"].flatten())

    ids = torch.tensor([[1, 1, 0, 3], [7, 0, 0, 2]])
    return loss, {"table": data(8, 6), "hidden": nn.Linear(6, 6)}, {"ids": ids}


def used_twice() -> tuple[Function, dict, dict]:
    def loss(m, b):
        hidden = torch.tanh(m.a(torch.tanh(m.a(b["x"]))))
        return (m.head(torch.tanh(hidden @ m.a.weight)) ** 2 * b["y"]).sum()

    batch = {"x": data(5, 4), "y": data(5, 3)}
    return loss, {"a": nn.Linear(4, 4), "head": nn.Linear(4, 3)}, batch


def regularised() -> tuple[Function, dict, dict]:
    """Gradients end in element-wise operations on the weight itself."""

    def loss(m, b):
        out = m.head(torch.tanh(m.a(b["x"])))
        decay = 0.1 * (m.a.weight**2).sum() + 0.3 * m.head.bias.abs().sum()
        return (out**2 * b["y"]).sum() + decay

    batch = {"x": data(5, 4), "y": data(5, 3)}
    return loss, {"a": nn.Linear(4, 6), "head": nn.Linear(6, 3)}, batch


def transformed() -> tuple[Function, dict, dict]:
    """The gradient of `w` is element-wise in that of ``tanh(w)``, and in a constant mask."""
    keep = (data(6, 4) > 0).double()

    def loss(m, b):
        return (F.linear(b["x"], torch.tanh(m.w) * keep) ** 2 * b["y"]).mean()

    return loss, {"w": data(6, 4)}, {"x": data(5, 4), "y": data(5, 6)}


def positions() -> tuple[Function, dict, dict]:
    """The gradient of `p` is that of an activation, on which the backward pass goes on."""

    def loss(m, b):
        return (m.head(torch.tanh(m.a(b["x"])) + m.p) ** 2 * b["y"]).sum()

    members = {"a": nn.Linear(4, 6), "head": nn.Linear(6, 3), "p": data(5, 6)}
    return loss, members, {"x": data(5, 4), "y": data(5, 3)}


def bilinear() -> tuple[Function, dict, dict]:
    """The gradient of `p` is a value of the forward pass."""

    def loss(m, b):
        return (m.a(b["x"]) * m.p).sum()

    return loss, {"a": nn.Linear(4, 6), "p": data(5, 6)}, {"x": data(5, 4)}


def scalars() -> tuple[Function, dict, dict]:
    def loss(m, b):
        return ((torch.exp(m.s) * m.a(b["x"]) * m.t) ** 2 * b["y"]).sum()

    members = {"a": nn.Linear(4, 3), "s": torch.tensor(0.7), "t": torch.tensor([1.3])}
    return loss, members, {"x": data(5, 4), "y": data(5, 3)}


def shared() -> tuple[Function, dict, dict]:
    """Parameters with one and the same gradient, as the biases of parallel blocks."""

    def loss(m, b):
        return (m.a(b["x"]) + m.p + m.q - m.r + m.s).square().sum()

    members = {"a": nn.Linear(4, 6), **{name: data(6) for name in "pqrs"}}
    return loss, members, {"x": data(5, 4)}


def constants() -> tuple[Function, dict, dict]:
    """Tensors that are neither parameters nor buffers, of several types."""
    factors, rows = data(6, 4), torch.tensor([[1, 3], [0, 2]])
    keep = torch.tensor([True, False, True, True, False])

    def loss(m, b):
        x = torch.where(keep[:, None], b["x"], 2.0 * b["x"])
        classes = torch.tensor([1.0, 2.0, 0.5, 3.0, 1.0, 1.0], dtype=x.dtype)
        picked = m.w[rows].sum((0, 1)) + (m.w * factors.to(m.w.dtype)).sum(0)
        return (picked * x).square().mean() + F.cross_entropy(x @ m.w.T, b["y"], classes)

    return loss, {"w": data(6, 4)}, {"x": data(5, 4), "y": torch.tensor([0, 1, -100, 5, 3])}


def sums() -> tuple[Function, dict, dict]:
    """The gradient of `p` is a constant."""

    def loss(m, b):
        return (m.a(b["x"]) ** 2).sum() + m.p.sum() + 0.5 * (m.q**2).sum()

    return loss, {"a": nn.Linear(4, 6), "p": data(5, 4), "q": data(5, 4)}, {"x": data(5, 4)}


UNION = "rows=0+3:columns=1+2:union"
CASES: dict[str, tuple[Callable[[], tuple[Function, dict, dict]], Recipe]] = {
    "tied": (tied, Recipe("full")),
    "tied, rows": (tied, masks("table:rows=0+3+7")),
    "tied, columns": (tied, masks("table:columns=1+5")),
    "tied, union": (tied, masks(f"table:{UNION}", "hidden.bias:rows=2")),
    "used twice": (used_twice, Recipe("full")),
    "used twice, block": (used_twice, masks("a.weight:rows=0+3:columns=1+2", train=("head.*",))),
    "used twice, union": (used_twice, masks(f"a.weight:{UNION}", "a.bias:rows=0")),
    "regularised": (regularised, Recipe("full")),
    "regularised, masked": (regularised, masks(f"a.weight:{UNION}", "head.bias:rows=0+2")),
    "transformed": (transformed, masks(f"w:{UNION}")),
    "positions, frozen": (positions, masks(train=("a.*", "head.*"))),
    "positions, columns": (positions, masks("p:columns=1+3", "a.weight:rows=1")),
    "bilinear, frozen": (bilinear, masks("a.weight:rows=1")),
    "bilinear, rows": (bilinear, masks("p:rows=1+3", train=("a.*",))),
    "scalars": (scalars, masks("a.weight:rows=1", train=("s",))),
    "scalars, frozen": (scalars, masks(train=("a.*",))),
    "shared": (shared, masks("p:rows=1+4", "r:rows=2", "s:rows=0", train=("q",))),
    "shared, frozen": (shared, masks("a.weight:rows=2", train=("q",))),
    "constants": (constants, masks(f"w:{UNION}")),
    "sums": (sums, Recipe("full")),
}


@pytest.mark.parametrize("name", CASES)
def test_gradients_that_are_no_plain_products(name):
    build, recipe = CASES[name]
    function, members, batch = build()
    model = Model(function, members)
    check(captured(copy.deepcopy(model), batch), recipe)
    if recipe.method != "full":
        check(captured(model, batch, max_grad_norm=None), recipe)
