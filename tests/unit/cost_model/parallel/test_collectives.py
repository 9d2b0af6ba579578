"""Each formula counts the bytes that the algorithm sends, and the algorithm does its job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssft.compiler.cost_model.parallel.collectives import COLLECTIVES

RING_COLLECTIVES = sorted(set(COLLECTIVES) - {"point-to-point"})


def run(ring: Any, name: str, data: list[np.ndarray]) -> list[np.ndarray]:
    total = np.sum(data, axis=0)
    chunks = [np.array_split(each, ring.ranks) for each in data]
    match name:
        case "all-reduce":
            result, expected = ring.all_reduce(data), [total] * ring.ranks
        case "reduce-scatter":
            result, expected = ring.reduce_scatter(data), np.array_split(total, ring.ranks)
        case "all-gather":
            result = ring.all_gather(np.array_split(total, ring.ranks))
            expected = [total] * ring.ranks
        case "broadcast":
            result, expected = ring.broadcast(data[0]), [data[0]] * ring.ranks
        case _:
            result = ring.all_to_all(data)
            expected = [
                np.concatenate([each[rank] for each in chunks]) for rank in range(ring.ranks)
            ]
    for one, other in zip(result, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    return result


@pytest.mark.parametrize("name", RING_COLLECTIVES)
@given(ranks=st.integers(1, 9), elements=st.integers(1, 60), seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_sum_over_ranks_is_what_is_sent(
    make_ring: Callable[[int], Any], name: str, ranks: int, elements: int, seed: int
):
    ring = make_ring(ranks)
    integers = np.random.default_rng(seed).integers(0, 99, (ranks, elements))
    run(ring, name, list(integers.astype(np.float64)))
    # Chunks of unequal size are why this is about the sum: with equal ones it is each rank's.
    if name == "all-to-all" and elements % ranks:
        assert sum(ring.sent) >= (ranks - 1) * (elements // ranks) * ranks * 8
    else:
        assert sum(ring.sent) == pytest.approx(ranks * COLLECTIVES[name](8 * elements, ranks))


@pytest.mark.parametrize("name", sorted(set(RING_COLLECTIVES) - {"broadcast"}))
@pytest.mark.parametrize("ranks", [2, 3, 8])
def test_every_rank_sends_the_same(make_ring: Callable[[int], Any], name: str, ranks: int):
    ring = make_ring(ranks)
    run(ring, name, [np.arange(5.0 * ranks) + rank for rank in range(ranks)])
    assert ring.sent == [COLLECTIVES[name](8 * 5 * ranks, ranks)] * ranks


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("all-reduce", 1750),
        ("reduce-scatter", 875),
        ("all-gather", 875),
        ("broadcast", 875),
        ("all-to-all", 875),
        ("point-to-point", 1000),
    ],
)
def test_eight_ranks_and_a_thousand_bytes(name: str, by_hand: float):
    assert COLLECTIVES[name](1000, 8) == by_hand
    assert COLLECTIVES[name](1000, 1) == 0
