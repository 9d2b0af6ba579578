"""ZeRO carried out on arrays: it trains like one rank, and sends and holds what the account says.

The model is ``loss = |(x + b) W1ᵀ W2ᵀ - y|²`` per token. W1 is frozen; b and the first columns of
W2 train, with momentum as the one optimizer state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from ssft.compiler.cost_model.parallel import Layout
from ssft.compiler.cost_model.parallel.pieces import Piece
from ssft.compiler.cost_model.parallel.traffic import sent
from ssft.compiler.cost_model.parallel.zero import sharded_bytes, zero_transfers

INPUTS, HIDDEN, OUTPUTS, TRAINED = 4, 8, 12, 4
STEPS, TOKENS, RATE, MOMENTUM = 3, 5, 1e-4, 0.9
EACH = 8
"""Bytes of a float64."""


def _trained(name: str, elements: int, trained: int, *, backward: bool) -> Piece:
    slice_ = EACH * trained
    return Piece(name, name, EACH * elements, slice_, slice_, slice_, backward=backward)


SLICE = OUTPUTS * TRAINED
PIECES = [
    # The gradient of b passes through both matrices; b itself is not read for it.
    _trained("b", INPUTS, INPUTS, backward=False),
    Piece("W1", "W1", EACH * HIDDEN * INPUTS),
    _trained("W2", OUTPUTS * HIDDEN, SLICE, backward=True),
]


def w2_of(chosen: np.ndarray, rest: np.ndarray) -> np.ndarray:
    return np.hstack([chosen.reshape(OUTPUTS, TRAINED), rest.reshape(OUTPUTS, -1)])


@dataclass
class Problem:
    """Weights, flat: what is frozen of W1 and W2, what trains; the batch by step, rank and part."""

    frozen: list[np.ndarray]
    trained: list[np.ndarray]
    x: np.ndarray
    y: np.ndarray


def problem(ranks: int, microbatches: int) -> Problem:
    make = np.random.default_rng(0)
    shape = (STEPS, ranks, microbatches, TOKENS)
    frozen = [make.normal(size=HIDDEN * INPUTS), make.normal(size=OUTPUTS * (HIDDEN - TRAINED))]
    return Problem(
        frozen,
        [make.normal(size=INPUTS), make.normal(size=SLICE)],
        make.normal(size=(*shape, INPUTS)),
        make.normal(size=(*shape, OUTPUTS)),
    )


def forward(w: list[np.ndarray], x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the hidden values and the gradient of the output; w: W1, rest of W2, b, slice."""
    inner = (x + w[2]) @ w[0].reshape(HIDDEN, INPUTS).T
    return inner, 2 * (inner @ w2_of(w[3], w[1]).T - y)


def backward(w: list[np.ndarray], inner: np.ndarray, out: np.ndarray) -> list[np.ndarray]:
    """Returns the gradients of b and of the slice, flat; w: W1, rest of W2, slice."""
    below = out @ w2_of(w[2], w[1]) @ w[0].reshape(HIDDEN, INPUTS)
    return [below.sum(0), (out.T @ inner[:, :TRAINED]).ravel()]


def on_one_rank(given: Problem) -> list[np.ndarray]:
    trained = [each.copy() for each in given.trained]
    velocity = [np.zeros_like(each) for each in trained]
    for step in range(STEPS):
        x, y = given.x[step].reshape(-1, INPUTS), given.y[step].reshape(-1, OUTPUTS)
        inner, out = forward([*given.frozen, *trained], x, y)
        found = backward([*given.frozen, trained[1]], inner, out)
        velocity = [MOMENTUM * v + g for v, g in zip(velocity, found, strict=True)]
        trained = [w - RATE * v for w, v in zip(trained, velocity, strict=True)]
    return trained


class Ranks:
    """All ranks of a ZeRO stage, holding no more between microbatches than the stage allows.

    Lists are by part of the model and then by rank.
    """

    def __init__(self, given: Problem, layout: Layout, ring: Any) -> None:
        self.given, self.layout, self.ring = given, layout, ring
        self.frozen = [self._shares(part, from_stage=3) for part in given.frozen]
        self.trained = [self._shares(part, from_stage=3) for part in given.trained]
        empty = [np.zeros_like(part) for part in given.trained]
        self.velocity = [self._shares(part, from_stage=1) for part in empty]
        self.empty = [self._shares(part, from_stage=2) for part in empty]
        self.gradient = list(self.empty)

    def _shares(self, data: np.ndarray, from_stage: int) -> list[np.ndarray]:
        count = self.layout.data
        return np.split(data, count) if self.layout.zero >= from_stage else [data.copy()] * count

    def read(self, *parts: list[np.ndarray]) -> list[list[np.ndarray]]:
        """By rank: some parts of the model, whole."""
        whole = [self.ring.all_gather(part) if self.layout.zero == 3 else part for part in parts]
        return [list(own) for own in zip(*whole, strict=True)]

    def step(self, number: int) -> None:
        for part in range(self.layout.microbatches):
            batch = self.given.x[number, :, part], self.given.y[number, :, part]
            kept = [
                forward(own, *each)
                for own, *each in zip(self.read(*self.frozen, *self.trained), *batch, strict=True)
            ]
            weights = self.read(*self.frozen, self.trained[1])
            found = [backward(own, *each) for own, each in zip(weights, kept, strict=True)]
            for which, addends in enumerate(zip(*found, strict=True)):
                if self.layout.zero >= 2:
                    addends = self.ring.reduce_scatter(addends)
                pairs = zip(self.gradient[which], addends, strict=True)
                self.gradient[which] = [a + b for a, b in pairs]
        self.trained = [self._updated(which) for which in range(len(self.trained))]
        self.gradient = list(self.empty)

    def _updated(self, which: int) -> list[np.ndarray]:
        stage, sums, owned = self.layout.zero, self.gradient[which], self.trained[which]
        if stage == 0:
            sums = self.ring.all_reduce(sums)
        elif stage == 1:
            sums = self.ring.reduce_scatter(sums)
        pairs = zip(self.velocity[which], sums, strict=True)
        self.velocity[which] = [MOMENTUM * v + g for v, g in pairs]
        if stage in (1, 2):
            owned = [np.split(w, self.layout.data)[r] for r, w in enumerate(owned)]
        changed = [w - RATE * v for w, v in zip(owned, self.velocity[which], strict=True)]
        return self.ring.all_gather(changed) if stage in (1, 2) else changed

    def held(self) -> tuple[int, ...]:
        """Bytes of weights, gradients and states on rank 0."""
        kinds = ([*self.frozen, *self.trained], self.gradient, self.velocity)
        return tuple(sum(part[0].nbytes for part in kind) for kind in kinds)


@pytest.mark.parametrize("microbatches", [1, 3])
@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_stage(make_ring: Callable[[int], Any], stage: int, ranks: int, microbatches: int):
    layout = Layout(data=ranks, zero=stage, microbatches=microbatches)
    given, ring = problem(ranks, microbatches), make_ring(ranks)
    running = Ranks(given, layout, ring)
    for number in range(STEPS):
        running.step(number)
    expected = sharded_bytes(PIECES, layout)
    assert running.held() == (expected.weights, expected.gradients, expected.states)
    assert ring.sent == [STEPS * sent(zero_transfers(PIECES, layout))] * ranks
    for own in running.read(*running.trained):
        for found, right in zip(own, on_one_rank(given), strict=True):
            np.testing.assert_allclose(found, right, rtol=1e-12)
