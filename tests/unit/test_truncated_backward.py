"""Method ``top`` ends the backward pass at the lowest layer that trains: counted, not timed."""

from __future__ import annotations

import pytest
import torch
from small_models import Captured, Network, captured, network_batch

from ssft.compiler import Recipe

TOKENS = 5
C = 2 * TOKENS * 6 * 3
"""FLOPs of the product that carries the gradient through the last of three linear layers."""

B = 2 * TOKENS * 6 * 6


@pytest.fixture(scope="module")
def network() -> Captured:
    torch.manual_seed(0)
    batch = network_batch()
    assert batch["x"].shape == (TOKENS, 4)
    return captured(Network(), batch)


@pytest.mark.parametrize(
    ("ratio", "trained", "flops"),
    [
        pytest.param(21 / 105, {"c.weight", "c.bias"}, 0, id="the last layer"),
        pytest.param(33 / 105, {"norm.weight", "norm.bias", "c.weight", "c.bias"}, C, id="norm"),
        pytest.param(
            75 / 105,
            {"b.weight", "b.bias", "norm.weight", "norm.bias", "c.weight", "c.bias"},
            C,
            id="two layers",
        ),
        pytest.param(1.0, None, C + B, id="all: the input needs no gradient"),
    ],
)
def test_input_gradients_end_at_the_lowest_layer_that_trains(network, ratio, trained, flops):
    report = network.compile(Recipe("top", ratio=ratio)).report()
    names = {mask["name"] for mask in report["masks"]}
    assert trained is None or names == trained
    assert report["flops"]["input_gradient"] == flops
    assert report["dense"]["flops"]["input_gradient"] == C + B
