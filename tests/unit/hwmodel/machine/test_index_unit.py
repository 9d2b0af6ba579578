"""Scores, counts, selections and scatter-add."""

from __future__ import annotations

import numpy as np
import pytest
from machine_programs import Chain

from ssft.hwmodel.isa import AccumulateScore, CountRowsColumns, ScatterAddRows, TopK
from ssft.hwmodel.machine import OutOfBoundsError


@pytest.mark.parametrize("square", [0, 1])
def test_scores(square):
    chain = Chain()
    values = np.array([1e-3, -2, 3, -0.1], np.float32)
    gradient = chain.load("gradient", "f32", values)
    score = chain.load("score", "f32", np.ones(4))
    chain.add(AccumulateScore(gradient=gradient, score=score, elements=4, square=square))
    chain.store("result", "f32", (4,), score)
    added = values * values if square else np.abs(values)
    assert np.array_equal(chain.run().read("result"), np.float32(1) + added)


@pytest.mark.parametrize("by_column", [0, 1])
def test_counts(by_column):
    chain = Chain()
    values = np.array([[1, 2, 3], [2, np.nan, 5]], np.float32)
    score = chain.load("score", "f32", values)
    counts = chain.spm(12)
    threshold = int(np.float32(2).view(np.uint32))
    chain.add(
        CountRowsColumns(
            score=score, counts=counts, rows=2, columns=3, threshold=threshold, by_column=by_column
        )
    )
    chain.store("result", "f32", (3,) if by_column else (2,), counts)
    assert chain.run().read("result").tolist() == ([0, 0, 2] if by_column else [1, 1])


@pytest.mark.parametrize(
    ("values", "k", "expected"),
    [
        ([1, 5, 3, 5, 5], 2, [1, 3]),
        ([3, 1, 2], 2, [0, 2]),
        ([0.0, -0.0, 0.0], 2, [0, 1]),
        ([np.nan, -np.inf, 1], 2, [1, 2]),
        ([2, 1], 2, [0, 1]),
    ],
)
def test_selection_is_ascending_and_the_lower_position_wins(values, k, expected):
    chain = Chain()
    address = chain.load("values", "f32", values)
    index = chain.spm(8 * k)
    chain.add(TopK(values=address, index=index, count=len(values), k=k))
    chain.store("result", "i64", (k,), index)
    assert chain.run().read("result").tolist() == expected


def test_selection_of_more_than_there_are():
    chain = Chain()
    address = chain.load("values", "f32", [1, 2])
    chain.add(TopK(values=address, index=chain.spm(32), count=2, k=3))
    with pytest.raises(OutOfBoundsError, match="selects 3 of 2 values"):
        chain.run()


def test_scatter_add_goes_in_list_order_and_skips_other_rows():
    """In f32 4 + 4 + 1e8 is 100000008, and 1e8 + 4 + 4 would be 1e8."""
    chain = Chain()
    target = chain.load("target", "f32", np.zeros((3, 2)))
    rows = np.array([[4, 1], [4, 1], [1e8, 1], [9, 9], [7, 7]], np.float32)
    source = chain.load("source", "f32", rows)
    index = chain.load("index", "i64", [11, 11, 11, 9, 13])
    chain.add(
        ScatterAddRows(
            target=target, source=source, index=index, count=5, row_elements=2, first=10, rows=3
        )
    )
    chain.store("result", "f32", (3, 2), target)
    expected = [[0, 0], [np.float32(1e8) + np.float32(8), 3], [0, 0]]
    assert chain.run().read("result").tolist() == expected
