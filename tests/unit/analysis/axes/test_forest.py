"""Unification claims that two index sets are permuted alike; executed here on random terms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssft.compiler.analysis.axes.forest import AxisForest


def act(forest: AxisForest, node: int, orders: dict[int, np.ndarray]) -> np.ndarray:
    """The permutation of a node, given one for each of its variables."""
    pieces = []
    start = 0
    for segment in forest.segments([node]):
        piece = np.zeros(1, dtype=int)
        for factor in segment:
            inner = orders[factor] if forest.is_variable(factor) else act(forest, factor, orders)
            piece = (piece[:, None] * inner.size + inner[None, :]).ravel()
        pieces.append(start + piece)
        start += piece.size
    return np.concatenate(pieces)


def random_orders(forest: AxisForest, nodes: list[int], seed: int) -> dict[int, np.ndarray]:
    generator = np.random.default_rng(seed)
    orders = {}
    for node in nodes:
        for leaf in forest.leaves(node):
            size = forest.size(leaf)
            pinned = forest.is_pinned(leaf)
            orders.setdefault(leaf, np.arange(size) if pinned else generator.permutation(size))
    return orders


@st.composite
def terms(draw, size: int, depth: int = 3):
    """A way to make an index set of `size`: a variable, a product or a sum, as nested tuples."""
    divisors = [d for d in range(2, size) if size % d == 0]
    kinds = (
        ["variable"] + ["product"] * bool(divisors and depth) + ["sum"] * bool(size > 1 and depth)
    )
    kind = draw(st.sampled_from(kinds))
    if kind == "product":
        minor = draw(st.sampled_from(divisors))
        parts = draw(terms(size // minor, depth - 1)), draw(terms(minor, depth - 1))
        return ("product", *parts)
    if kind == "sum":
        first = draw(st.integers(1, size - 1))
        return ("sum", draw(terms(first, depth - 1)), draw(terms(size - first, depth - 1)))
    return ("variable", size, draw(st.integers(0, 5)))


def build(forest: AxisForest, term, shared: dict[tuple[int, int], int]) -> int:
    kind, *parts = term
    if kind == "variable":
        size, number = parts
        if number > 2:  # The small numbers are shared between all terms, the others are their own.
            return forest.new(size)
        return shared.setdefault((size, number), forest.new(size))
    nodes = [build(forest, part, shared) for part in parts]
    return forest.product(nodes) if kind == "product" else forest.sum(nodes)


@st.composite
def claims(draw):
    sizes = draw(st.lists(st.sampled_from([4, 6, 8, 12, 24]), min_size=1, max_size=4))
    return [(draw(terms(size)), draw(terms(size))) for size in sizes]


@settings(max_examples=400, deadline=None)
@given(claims(), st.integers(0, 3), st.integers(0, 100))
def test_all_claims_hold_for_every_choice_of_permutations(pairs, pins, seed):
    forest = AxisForest()
    shared: dict[tuple[int, int], int] = {}
    nodes = [(build(forest, a, shared), build(forest, b, shared)) for a, b in pairs]
    pinned = [node for node in list(shared.values())[:pins] if forest.size(node) > 1]
    for node in pinned:
        forest.pin(node, "test")
    for a, b in nodes:
        forest.unify(a, b)
    orders = random_orders(forest, [n for pair in nodes for n in pair] + pinned, seed)
    for a, b in nodes:
        np.testing.assert_array_equal(act(forest, a, orders), act(forest, b, orders))
    for node in pinned:
        np.testing.assert_array_equal(act(forest, node, orders), np.arange(forest.size(node)))
    for leaf in {forest.find(leaf) for pair in nodes for n in pair for leaf in forest.leaves(n)}:
        if forest.size(leaf) > 1:
            assert forest.is_pinned(leaf) == bool(forest.pin_sites(leaf)), "pinned without reason"


@pytest.fixture
def forest():
    return AxisForest()


def sizes(forest: AxisForest, node: int) -> list[list[int]]:
    return [[forest.size(f) for f in segment] for segment in forest.segments([node])]


def test_reshapes_split_a_variable_where_both_need_it(forest):
    whole = forest.new(64)
    forest.unify(whole, forest.product([forest.new(4), forest.new(16)]))
    forest.unify(whole, forest.product([forest.new(8), forest.new(8)]))
    assert sizes(forest, whole) == [[4, 2, 8]]
    assert not forest.is_pinned(whole)


def test_reshapes_that_do_not_nest_pin(forest):
    whole = forest.new(12)
    forest.unify(whole, forest.product([forest.new(4), forest.new(3)]))
    forest.unify(whole, forest.product([forest.new(3), forest.new(4)]))
    assert forest.is_pinned(whole)
    assert "misaligned reshape" in forest.pin_sites(forest.factors(whole)[0])


def test_heads_inside_the_parts_of_a_sum(forest):
    q, k, v = (forest.product([forest.new(4), forest.new(16)]) for _ in range(3))
    fused = forest.new(192)
    forest.unify(fused, forest.sum([q, k, v]))
    assert sizes(forest, fused) == [[4, 16], [4, 16], [4, 16]]
    forest.unify(forest.factors(q)[0], forest.factors(k)[0])
    segments = forest.segments([fused])
    assert segments[0][0] == segments[1][0] != segments[2][0]


def test_a_sum_inside_a_product(forest):
    heads, parts = forest.new(4), [forest.new(16) for _ in range(3)]
    fused = forest.new(192)
    forest.unify(fused, forest.product([heads, forest.sum(parts)]))
    (segment,) = forest.segments([fused])
    assert segment[0] == forest.find(heads)
    assert [forest.size(leaf) for leaf in forest.leaves(segment[1])] == [16, 16, 16]
    assert len({heads, *forest.leaves(segment[1])}) == 4


def test_a_swap_of_halves_unifies_them(forest):
    low, high = forest.new(8), forest.new(8)
    forest.unify(forest.sum([low, high]), forest.sum([high, low]))
    assert forest.find(low) == forest.find(high)
    assert not forest.is_pinned(low)


def test_a_shift_by_one_leaves_nothing_to_permute(forest):
    body = forest.new(7)
    whole = forest.sum([body, forest.new(1)])
    forest.unify(whole, forest.sum([forest.new(1), body]))
    assert all(forest.size(leaf) == 1 for leaf in forest.leaves(whole))


def test_a_long_shift_is_pinned_and_not_cut_into_ones(forest):
    body = forest.new(4095)
    whole = forest.sum([body, forest.new(1)])
    forest.unify(whole, forest.sum([forest.new(1), body]))
    assert forest.is_pinned(whole)
    assert len(list(forest.leaves(whole))) < 600


def test_what_meets_a_pinned_axis_is_pinned_for_its_reasons(forest):
    tokens = forest.new(16)
    forest.site = 7
    forest.pin(tokens, "visible")
    group, part = forest.new(4), forest.new(12)
    heads = forest.product([group, forest.new(4)])
    forest.unify(heads, tokens)
    other = forest.sum([forest.new(4), part])
    forest.unify(other, heads)
    assert forest.is_pinned(other)
    for leaf in [*forest.leaves(other), *forest.leaves(heads), group, part]:
        assert forest.is_pinned(leaf)
        assert forest.pin_sites(leaf) == {"visible": {7}}


def test_sizes_must_agree(forest):
    with pytest.raises(ValueError, match="sizes 3 and 4"):
        forest.unify(forest.new(3), forest.new(4))
