"""Unusual gradients, optimizers and masks on small models: all against masked PyTorch.

Gradients, moments, weights and losses must agree to 1e-12, clipped and unclipped.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from side_by_side import Captured
from small_models import (
    UNION,
    Function,
    Model,
    Network,
    assert_close,
    captured,
    check,
    data,
    masks,
    network_batch,
)
from torch import nn
from torch.nn import functional as F

from ssft.compiler import Recipe
from ssft.runtime import Session


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


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


UNCLIPPED = {"tied, union", "positions, columns", "shared", "bilinear, rows", "scalars, frozen"}


@pytest.mark.parametrize("name", CASES)
def test_gradients_that_are_no_plain_products(name):
    build, recipe = CASES[name]
    function, members, batch = build()
    model = Model(function, members)
    check(captured(copy.deepcopy(model), batch), recipe)
    if name in UNCLIPPED:
        check(captured(model, batch, max_grad_norm=None), recipe)


def by_rank(kind: type, **vectors: Any) -> Callable[..., torch.optim.Optimizer]:
    """Matrices in one group, vectors with options of their own in another."""

    def build(parameters):
        matrices = {"params": [p for p in parameters if p.ndim > 1], "lr": 0.03}
        others = {"params": [p for p in parameters if p.ndim == 1], "lr": 0.01, **vectors}
        return kind([{**matrices, "weight_decay": 0.2}, others], lr=0.5)

    return build


SGD, ADAM, ADAMW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
OPTIMIZERS = {
    "dampened": lambda p: SGD(p, lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.1),
    "nesterov": lambda p: SGD(p, 0.1, 0.9, nesterov=True, weight_decay=0.1, maximize=True),
    "adam": lambda p: ADAM(p, lr=0.01, weight_decay=0.1, amsgrad=True),
    "adam, no first": lambda p: ADAM(p, lr=0.01, betas=(0.0, 0.9), eps=1e-3, maximize=True),
    "adamw": lambda p: ADAMW(p, lr=0.01, weight_decay=0.1, amsgrad=True, maximize=True),
    "sgd by rank": by_rank(SGD, momentum=0.9),
    "adamw by rank": by_rank(ADAMW, weight_decay=0.0, betas=(0.8, 0.99)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_with_masks_and_changing_rates(name):
    made = captured(Network(), network_batch(), OPTIMIZERS[name], max_grad_norm=0.1)
    chosen = ("a.weight:rows=1+4", f"b.weight:{UNION}", "norm.weight:rows=1+2")
    plan = made.compile(masks(*chosen, "c.weight:columns=1+5", "c.bias:rows=1"))
    session = Session.from_text(plan.text(), plan.stored_weights())
    reference = made.reference(plan)
    ratios = [group["lr"] for group in reference.optimizer.param_groups]
    for rate in (0.1, 0.02, 0.05):
        session.learning_rate = rate
        for group, ratio in zip(reference.optimizer.param_groups, ratios, strict=True):
            group["lr"] = rate * ratio / ratios[0]
        with made.precision():
            assert session.evaluate(made.batch) == session.step(made.batch)
            reference.step(made.batch)
        states, weights = session.optimizer_state(), session.state_dict()
        for parameter, expected in reference.trained.items():
            assert_close(weights[parameter], expected)
            for key, value in states.get(parameter, {}).items():
                assert_close(value, reference.state(parameter, key))


EDGES = {
    "all rows": "rows=0-5",
    "all rows but one": "rows=1-5",
    "last row": "rows=5",
    "last column": "columns=5",
    "corner": "rows=5:columns=0",
    "all rows, one column": "rows=0-5:columns=2",
    "all rows or one column": "rows=0-5:columns=2:union",
    "all but a corner": "rows=0-4:columns=0-4:union",
    "one row or all columns": "rows=0:columns=0-5:union",
}


@pytest.fixture(scope="module")
def network() -> Captured:
    torch.manual_seed(0)
    return captured(Network(), network_batch())


@pytest.mark.parametrize("name", EDGES)
def test_masks_at_the_edge(network, name):
    check(network, masks(f"b.weight:{EDGES[name]}", "c.bias:rows=2"))


def test_only_the_first_or_the_last_bias(network):
    check(network, masks(train=("a.bias",)))
    check(network, masks(train=("c.bias",)))


@pytest.mark.parametrize("method", ["block", "union", "s2ft"])
def test_a_batch_of_one(method):
    batch = {key: value[:1] for key, value in network_batch().items()}
    check(captured(Network(), batch), Recipe(method, ratio=0.4, train=("*.bias",)))


def test_biases_alone(network):
    """What is only added trains, and nothing else."""
    plan = check(network, Recipe("bias"))
    trained = {argument.name for argument in plan.signature().with_role("trainable")}
    assert trained == {n for n, _ in network.model.named_parameters() if n.endswith("bias")}
