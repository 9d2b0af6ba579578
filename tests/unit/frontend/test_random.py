"""Random draws: reproducible, well distributed, and the same inside and outside a capture."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ssft.compiler.diagnostics import UserError
from ssft.compiler.frontend import capture
from ssft.compiler.frontend.random import (
    random_bernoulli,
    random_bits,
    random_normal,
    random_uniform,
)

SEED, STEP = torch.tensor(7), torch.tensor(3.0, dtype=torch.float64)


def test_uniform_is_flat_and_reproducible():
    x = random_uniform(SEED, STEP, 0, (400, 500), torch.float64)
    assert torch.equal(x, random_uniform(SEED, STEP, 0, (400, 500), torch.float64))
    assert x.min() >= 0.0 and x.max() < 1.0
    counts = torch.histc(x, 50, 0.0, 1.0)
    # Chi-square with 49 degrees of freedom: 100 is exceeded with probability 2e-5.
    assert ((counts - 4000.0) ** 2 / 4000.0).sum() < 100.0


def test_draws_that_differ_in_one_number_are_independent():
    base = random_uniform(SEED, STEP, 0, (50_000,), torch.float64) - 0.5
    others = [
        random_uniform(SEED + 1, STEP, 0, (50_000,), torch.float64),
        random_uniform(SEED + (1 << 40), STEP, 0, (50_000,), torch.float64),
        random_uniform(SEED, STEP + 1, 0, (50_000,), torch.float64),
        random_uniform(SEED, STEP, 1, (50_000,), torch.float64),
        base.roll(1) + 0.5,
        base.roll(64) + 0.5,
    ]
    for other in others:
        correlation = (base * (other - 0.5)).mean() * 12.0
        assert abs(correlation) < 5.0 / 50_000**0.5


def test_every_bit_is_fair():
    bits = random_bits(SEED, STEP, 2, (100_000,))
    assert bits.dtype == torch.int32
    assert bits.min() >= 0 and bits.max() < 2**24
    for place in range(24):
        ones = ((bits >> place) & 1).double().mean()
        assert abs(ones - 0.5) < 5.0 * 0.5 / 100_000**0.5


def test_normal_has_unit_variance():
    x = random_normal(SEED, STEP, 0, (100_000,), torch.float64)
    assert abs(x.mean()) < 0.02
    assert abs(x.var() - 1.0) < 0.02
    assert abs((x**4).mean() - 3.0) < 0.15


def test_too_many_elements_are_refused():
    with pytest.raises(UserError, match=r"2\*\*31"):
        random_bits(SEED, STEP, 0, (2**20, 2**12))


class TwoDropouts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        hidden = nn.functional.dropout(self.layer(x), 0.4)
        return nn.functional.dropout(hidden, 0.1).square().mean()


def test_dropout_is_the_public_function(run_graph):
    model, x = TwoDropouts().double(), torch.randn(3, 8).double()
    captured = capture(model, {"x": x}, optimizer=lambda p: torch.optim.SGD(p, lr=0.0))
    assert [a.role for a in captured.arguments if a.name == "seed"] == ["seed"]
    losses = run_graph(captured, steps=2, seed=11).losses
    for step, loss in enumerate(losses):
        at = torch.tensor(11), torch.tensor(step)
        first = random_bernoulli(*at, 0, (3, 8), 0.6).double() / 0.6
        second = random_bernoulli(*at, 1, (3, 8), 0.9).double() / 0.9
        expected = (model.layer(x) * first * second).square().mean().item()
        assert loss == pytest.approx(expected, rel=1e-13)
    assert losses[0] != losses[1]


DRAWS = {
    "rand": lambda x: torch.rand(3, 8),
    "rand_like": torch.rand_like,
    "randn": lambda x: torch.randn(3, 8) / 4.0 + 0.5,
    "normal_": lambda x: torch.empty(3, 8).normal_(0.5, 0.1),
    "uniform_": lambda x: torch.empty_like(x).uniform_(0.2, 0.8),
    "bernoulli": lambda x: torch.bernoulli(torch.full_like(x, 0.5)),
    "randint": lambda x: torch.randint(2, (3, 8)),
    "exponential": lambda x: torch.empty_like(x).exponential_(2.0),
}


@pytest.mark.parametrize("name", DRAWS)
def test_all_kinds_of_draws(name, from_batch, run_graph):
    """Each has mean 1/2, depends on the seed, and is repeatable."""
    model = from_batch(
        lambda m, b: (DRAWS[name](b["x"]) * m.w).mean(), w=nn.Parameter(torch.ones(()))
    )
    captured = capture(
        model, {"x": torch.zeros(3, 8)}, optimizer=lambda p: torch.optim.SGD(p, lr=0)
    )
    losses = run_graph(captured, steps=40, seed=1).losses
    assert losses == run_graph(captured, steps=40, seed=1).losses
    assert losses != run_graph(captured, steps=40, seed=2).losses
    # 960 values of a standard deviation of at most 1/2.
    assert sum(losses) / 40 == pytest.approx(0.5, abs=5 * 0.5 / 960**0.5)


def test_a_model_without_draws_has_no_seed(from_batch):
    model = from_batch(lambda m, b: (m.w * b["x"]).sum(), w=nn.Parameter(torch.ones(())))
    captured = capture(model, {"x": torch.ones(2)})
    assert all(a.role != "seed" for a in captured.arguments)
