"""Every option of the supported optimizers is mirrored to rounding, or refused by name."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import SGD, Adam, AdamW

from ssft.compiler.diagnostics import UserError
from ssft.compiler.frontend import capture
from ssft.compiler.frontend.optimizers import read_optimizer
from ssft.compiler.plan_schema import read_signature


def groups(parameters):
    return AdamW(
        [
            {"params": parameters[::2], "weight_decay": 0.0},
            {"params": parameters[1::2], "lr": 3e-3, "betas": (0.8, 0.9)},
        ],
        lr=1e-2,
    )


OPTIMIZERS = {
    "AdamW": lambda p: AdamW(p, lr=1e-2, weight_decay=0.1),
    "AdamW amsgrad maximize": lambda p: AdamW(p, lr=1e-2, amsgrad=True, maximize=True),
    "AdamW small betas": lambda p: AdamW(p, lr=1e-2, betas=(0.3, 0.5), eps=1e-3),
    "AdamW groups": groups,
    "Adam decay": lambda p: Adam(p, lr=1e-2, weight_decay=0.1, foreach=True),
    "SGD": lambda p: SGD(p, lr=1e-2),
    "SGD dampening": lambda p: SGD(p, lr=1e-2, momentum=0.9, dampening=0.5, weight_decay=0.1),
    "SGD nesterov": lambda p: SGD(p, lr=1e-2, momentum=0.9, nesterov=True, maximize=True),
}


def loss(outputs, batch):
    return F.cross_entropy(outputs, batch["y"])


@pytest.fixture
def problem():
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    return model, {"input": torch.randn(5, 6).double(), "y": torch.randint(3, (5,))}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_five_clipped_steps_are_exact(name, problem, train, run_graph):
    optimizer = OPTIMIZERS[name]
    captured = capture(*problem, loss=loss, optimizer=optimizer, max_grad_norm=0.1)
    expected = train(*problem, optimizer, loss, 0.1, steps=5)
    actual = run_graph(captured, steps=5)
    assert set(expected.values) == set(actual.values) - {("lr", None), ("step", None)} - {
        ("input", None),
        ("y", None),
    }
    assert actual.worst(expected) < 1e-13
    assert actual.values["step", None].item() == 5.0


def test_float32_keeps_bias_corrections(problem, train, run_graph):
    """1 - 0.999**t has lost four digits in float32; scalars are made in float64."""
    model, batch = problem
    batch["input"] = batch["input"].float()

    def optimizer(parameters):
        return AdamW(parameters, lr=0.1)

    captured = capture(model.float(), batch, loss=loss, optimizer=optimizer)
    expected = train(model, batch, optimizer, loss, steps=2)
    assert run_graph(captured, steps=2).worst(expected) < 5e-7


def test_learning_rate_is_an_argument(problem, train, run_graph):
    captured = capture(*problem, loss=loss, optimizer=lambda p: AdamW(p, lr=1e-2))
    expected = train(*problem, lambda p: AdamW(p, lr=5e-2), loss)
    assert run_graph(captured, lr=5e-2).worst(expected) < 1e-13
    assert captured.optimizer.lr == 1e-2


def test_clipping_is_clip_grad_norm(problem, train, run_graph):
    """A limit above the norm changes nothing; one below scales all gradients alike."""
    for limit in (1e-3, 1e3):
        captured = capture(*problem, loss=loss, optimizer=OPTIMIZERS["SGD"], max_grad_norm=limit)
        expected = train(*problem, OPTIMIZERS["SGD"], loss, limit)
        assert run_graph(captured).worst(expected) < 1e-14


def test_module_records_what_was_compiled_in(problem):
    captured = capture(*problem, loss=loss, optimizer=groups, max_grad_norm=2, source="m.py")
    signature = read_signature(captured.module)
    assert signature.max_grad_norm == 2.0
    assert signature.source == "m.py"
    optimizer = signature.optimizer
    assert (optimizer["kind"], optimizer["lr"], optimizer["betas"]) == ("AdamW", 0.01, (0.9, 0.999))
    assert [group["parameters"] for group in optimizer["groups"]] == [
        ("0.weight", "2.weight"),
        ("0.bias", "2.bias"),
    ]
    assert optimizer["groups"][1]["lr_scale"] == pytest.approx(0.3)


def test_default_is_adamw(problem):
    captured = capture(*problem, loss=loss)
    assert (captured.optimizer.kind, captured.optimizer.lr) == ("AdamW", 2e-4)
    assert captured.optimizer.hyper_parameters["weight_decay"] == 0.0


def test_parameters_outside_the_optimizer_are_frozen(problem, run_graph):
    captured = capture(*problem, loss=loss, optimizer=lambda p: SGD(p[2:], lr=0.1))
    roles = {a.name: a.role for a in captured.arguments}
    assert (roles["0.weight"], roles["2.weight"]) == ("frozen", "trainable")
    moved = run_graph(captured).values
    assert torch.equal(moved["0.weight", None], captured.weights["0.weight"])
    assert not torch.equal(moved["2.weight", None], captured.weights["2.weight"])


def used(parameters):
    optimizer = AdamW(parameters)
    optimizer.zero_grad()
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    return optimizer


def hooked(parameters):
    optimizer = AdamW(parameters)
    optimizer.register_step_pre_hook(lambda *_: None)
    return optimizer


REFUSED = {
    "torch.optim.rmsprop.RMSprop is not supported": torch.optim.RMSprop,
    "differentiable=True of optimizer AdamW": lambda p: AdamW(p, differentiable=True),
    "differentiable=True of optimizer SGD": lambda p: SGD(p, lr=0.1, differentiable=True),
    "already made steps": used,
    "step hooks": hooked,
    "builtins.list is not supported": lambda p: [AdamW(p[:1]), AdamW(p[1:])],
    "has lr 0 while another has 0.1": lambda p: SGD(
        [{"params": p[:1], "lr": 0.0}, {"params": p[1:]}], lr=0.1
    ),
    "no parameter of the model": lambda p: SGD([nn.Parameter(torch.ones(3))], lr=0.1),
    "ZeroDivisionError: division by zero": lambda p: AdamW(p, lr=1 / 0),
    "option lookahead=3 of optimizer SGD": lambda p: SGD([{"params": p, "lookahead": 3}], lr=0.1),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refused(message, problem):
    model, _ = problem
    with pytest.raises(UserError) as raised:
        read_optimizer(REFUSED[message], dict(model.named_parameters()))
    assert message in raised.value.message
