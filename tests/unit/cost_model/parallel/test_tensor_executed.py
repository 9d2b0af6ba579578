"""A layer split over ranks, on arrays: same gradients as whole, and as many bytes as counted.

The layer has two blocks with a residual around each: attention, without softmax and norms, which
communicate nothing, and a gated feed-forward block. Columns of ``o`` and ``down`` train, dealt out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ssft.compiler.cost_model import Architecture, Storage, Workload, s2ft
from ssft.compiler.cost_model.parallel import Job, Layout
from ssft.compiler.cost_model.parallel.megatron import tensor_transfers
from ssft.compiler.cost_model.parallel.shards import shard
from ssft.compiler.cost_model.parallel.traffic import sent
from ssft.compiler.cost_model.training import Full

TOKENS, HEADS = 8, 4
SHAPES = Architecture("tiny", 12, 16, 1, HEADS, HEADS, 3, 32)
Weights = dict[str, np.ndarray]


def weights() -> Weights:
    make = np.random.default_rng(1)
    return {
        linear.name: make.normal(size=(linear.outputs, linear.inputs)) / 4
        for linear in SHAPES.linears()
    }


def rank_weights(whole: Weights, ranks: int, rank: int) -> Weights:
    return {
        name: np.split(matrix, ranks, axis=1 if name in ("o", "down") else 0)[rank]
        for name, matrix in whole.items()
    }


def heads(x: np.ndarray) -> np.ndarray:
    """[tokens, channels] as [heads, tokens, head size]."""
    return x.reshape(len(x), -1, SHAPES.head_size).transpose(1, 0, 2)


def channels(x: np.ndarray) -> np.ndarray:
    return x.transpose(1, 0, 2).reshape(x.shape[1], -1)


class Attention:
    last = "o"

    def forward(self, w: Weights, x: np.ndarray) -> np.ndarray:
        self.q, self.k, self.v = (heads(x @ w[name].T) for name in "qkv")
        self.inner = channels(self.q @ self.k.transpose(0, 2, 1) @ self.v)
        return self.inner @ w["o"].T

    def backward(self, w: Weights, out: np.ndarray) -> np.ndarray:
        d = heads(out @ w["o"])
        scores = d @ self.v.transpose(0, 2, 1)
        found = {
            "q": scores @ self.k,
            "k": scores.transpose(0, 2, 1) @ self.q,
            "v": (self.q @ self.k.transpose(0, 2, 1)).transpose(0, 2, 1) @ d,
        }
        return sum(channels(found[name]) @ w[name] for name in "qkv")


class FeedForward:
    last = "down"

    def forward(self, w: Weights, x: np.ndarray) -> np.ndarray:
        self.gate, self.up = x @ w["gate"].T, x @ w["up"].T
        self.inner = self.gate * self.up
        return self.inner @ w["down"].T

    def backward(self, w: Weights, out: np.ndarray) -> np.ndarray:
        d = out @ w["down"]
        return (d * self.up) @ w["gate"] + (d * self.gate) @ w["up"]


class Split:
    """The layer on several ranks. Activations are lists by rank."""

    def __init__(self, ring: Any, sequence: bool) -> None:
        self.ring, self.sequence = ring, sequence
        self.weights = [rank_weights(weights(), ring.ranks, rank) for rank in range(ring.ranks)]
        self.blocks = [[Attention(), FeedForward()] for _ in range(ring.ranks)]
        self.gradients: dict[str, list[np.ndarray]] = {}

    def gather(self, parts: list[np.ndarray]) -> list[np.ndarray]:
        """All tokens, where ranks have only their own."""
        if not self.sequence:
            return parts
        return [whole.reshape(TOKENS, -1) for whole in self.ring.all_gather(parts)]

    def total(self, addends: list[np.ndarray]) -> list[np.ndarray]:
        """The sum over the ranks: all of it, or each rank's own tokens."""
        if not self.sequence:
            return self.ring.all_reduce(addends)
        return [part.reshape(-1, SHAPES.hidden) for part in self.ring.reduce_scatter(addends)]

    def forward(self, x: list[np.ndarray]) -> list[np.ndarray]:
        for number in range(2):
            read = self.gather(x)
            added = self.total(
                [
                    own[number].forward(w, each)
                    for own, w, each in zip(self.blocks, self.weights, read, strict=True)
                ]
            )
            x = [a + b for a, b in zip(x, added, strict=True)]
        return x

    def backward(self, d: list[np.ndarray], *, below: bool) -> list[np.ndarray]:
        """`below`: the layer's input needs a gradient, as something below it trains."""
        for number in (1, 0):
            out = self.gather(d)
            name = self.blocks[0][number].last
            self.gradients[name] = [
                each.T @ own[number].inner for each, own in zip(out, self.blocks, strict=True)
            ]
            if number == 0 and not below:
                break
            inner = self.total(
                [
                    own[number].backward(w, each)
                    for own, w, each in zip(self.blocks, self.weights, out, strict=True)
                ]
            )
            d = [a + b for a, b in zip(d, inner, strict=True)]
        return d


def rows(x: np.ndarray, ranks: int, sequence: bool) -> list[np.ndarray]:
    return np.split(x, ranks) if sequence else [x] * ranks


@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize("sequence", [False, True])
@pytest.mark.parametrize("ranks", [2, 4])
def test_layer(make_ring: Callable[[int], Any], ranks: int, sequence: bool, below: bool):
    make = np.random.default_rng(2)
    x, d = make.normal(size=(2, TOKENS, SHAPES.hidden))
    ring, one = make_ring(ranks), Split(make_ring(1), False)
    split = Split(ring, sequence)
    out = split.forward(rows(x, ranks, sequence))
    into = split.backward(rows(d, ranks, sequence), below=below)
    right, right_into = one.forward([x])[0], one.backward([d], below=below)[0]
    join = np.concatenate if sequence else lambda parts: parts[0]
    np.testing.assert_allclose(join(out), right, rtol=1e-10)
    np.testing.assert_allclose(join(into), right_into, rtol=1e-10)
    for name, parts in split.gradients.items():
        np.testing.assert_allclose(np.hstack(parts), one.gradients[name][0], rtol=1e-9)
    job = Job(
        SHAPES,
        s2ft(SHAPES, {"o": 0.5, "down": 0.5}),
        Workload(1, TOKENS, input_requires_grad=below),
        Storage(weights=8),
        Layout(tensor=ranks, sequence=sequence),
    )
    assert ring.sent == [layer_bytes(job)] * ranks


def layer_bytes(job: Job) -> float:
    """What a rank sends, but for embedding, head and loss, which the arrays leave out."""
    found = [each for each in tensor_transfers(job, 0, []) if each.purpose != "loss"]
    share = (job.layout.tensor - 1) / job.layout.tensor
    size = job.tokens * job.shapes.hidden * job.storage.weights * share
    # The embedding is a sum over the ranks, and so is the gradient of the head's input. With split
    # tokens each is a reduce-scatter, and the head gathers what it reads.
    return sent(found) - size * (3 if job.layout.sequence else 4)


@pytest.mark.parametrize("placement", ["dealt", "front"])
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_shards_add_up_to_the_matrix(ranks: int, placement: str):
    layout = Layout(tensor=ranks, placement=placement)
    method = s2ft(SHAPES, {"o": 0.5, "down": 0.4, "v": 0.25, "up": 0.4})
    for linear in SHAPES.linears():
        for kind in (method.training(0, linear.name), Full()):
            parts = [shard(SHAPES, linear, kind, layout, rank) for rank in range(ranks)]
            assert sum(part.weights for part in parts) == linear.weights
            assert sum(part.trained for part in parts) == kind.parameters(linear)


def test_dealt_and_front_of_the_axis():
    # Two of four heads on two ranks: one each, or both on the first.
    linear, kind = SHAPES.linear("o"), s2ft(SHAPES, {"o": 0.5}).training(0, "o")
    head = SHAPES.hidden * SHAPES.head_size
    for placement, expected in (("dealt", [head, head]), ("front", [2 * head, 0])):
        layout = Layout(tensor=2, placement=placement)
        parts = [shard(SHAPES, linear, kind, layout, rank) for rank in range(2)]
        assert [part.trained for part in parts] == expected
