"""DMA commands move the bytes they say, and no others."""

from __future__ import annotations

import numpy as np
import pytest
from machine_programs import Chain

from ssft.hwmodel.isa import (
    GatherColumns,
    GatherRows,
    Load2D,
    ScatterColumns,
    ScatterRows,
    Store2D,
)
from ssft.hwmodel.machine import OutOfBoundsError

MATRIX = np.arange(40, dtype=np.float32).reshape(8, 5)


def matrix_chain() -> tuple[Chain, int]:
    """A chain with a matrix of 8 rows of 5 f32 in DRAM, and its address."""
    chain = Chain()
    address = chain.buffer("matrix", "f32", (8, 5)).address
    chain.values["matrix"] = MATRIX
    return chain, address


def stored(chain: Chain, spm: int, shape) -> np.ndarray:
    chain.store("result", "f32", shape, spm)
    return chain.run().read("result")


def test_load_of_a_tile():
    chain, dram = matrix_chain()
    spm = chain.spm(4 * 6)
    chain.add(Load2D(dram=dram + 24, spm=spm, rows=3, row_bytes=8, pitch=20))
    assert np.array_equal(stored(chain, spm, (3, 2)), MATRIX[1:4, 1:3])


def test_load_may_repeat_a_row():
    chain, dram = matrix_chain()
    spm = chain.spm(4 * 6)
    chain.add(Load2D(dram=dram, spm=spm, rows=3, row_bytes=8, pitch=0))
    assert np.array_equal(stored(chain, spm, (3, 2)), MATRIX[[0, 0, 0], :2])


def test_store_of_a_tile():
    chain, dram = matrix_chain()
    spm = chain.load("tile", "f32", -np.ones((3, 2)))
    chain.add(Store2D(dram=dram + 24, spm=spm, rows=3, row_bytes=8, pitch=20))
    expected = MATRIX.copy()
    expected[1:4, 1:3] = -1
    assert np.array_equal(chain.run().read("matrix"), expected)


def rows(index, chain_and_dram, command=GatherRows, width=2, column=1, **more):
    chain, dram = chain_and_dram
    spm = chain.load("tile", "f32", -np.arange(1.0, 1 + len(index) * width))
    where = chain.load("list", "i64", index)
    command = command(
        dram=dram + 4 * column, spm=spm, index=where, count=len(index), row_bytes=4 * width,
        pitch=20, **more,
    )  # fmt: skip
    chain.add(command)
    return spm


def test_gather_of_rows():
    chain = matrix_chain()
    spm = rows([7, 0, 7], chain)
    assert np.array_equal(stored(chain[0], spm, (3, 2)), MATRIX[[7, 0, 7], 1:3])


def test_scatter_of_rows():
    chain = matrix_chain()
    rows([7, 0, 3], chain, ScatterRows)
    expected = MATRIX.copy()
    expected[[7, 0, 3], 1:3] = -np.arange(1.0, 7).reshape(3, 2)
    assert np.array_equal(chain[0].run().read("matrix"), expected)


def columns(index, chain_and_dram, command):
    chain, dram = chain_and_dram
    spm = chain.load("tile", "f32", -np.arange(1.0, 1 + len(index) * 3))
    where = chain.load("list", "i64", index)
    chain.add(
        command(
            dram=dram + 20,
            spm=spm,
            index=where,
            rows=3,
            count=len(index),
            element_bytes=4,
            pitch=20,
        )
    )
    return spm


def test_gather_of_columns():
    chain = matrix_chain()
    spm = columns([4, 0], chain, GatherColumns)
    assert np.array_equal(stored(chain[0], spm, (3, 2)), MATRIX[1:4, [4, 0]])


def test_scatter_of_columns():
    chain = matrix_chain()
    columns([4, 0], chain, ScatterColumns)
    expected = MATRIX.copy()
    expected[1:4, [4, 0]] = -np.arange(1.0, 7).reshape(3, 2)
    assert np.array_equal(chain[0].run().read("matrix"), expected)


@pytest.mark.parametrize(
    ("build", "index", "command", "match"),
    [
        (rows, [1, -2], GatherRows, "position 1 of its list is the negative index -2"),
        (rows, [1, 8], GatherRows, "behind the end of buffer 'matrix'"),
        (rows, [1, 2**50], GatherRows, "behind the end of buffer 'matrix'"),
        (rows, [3, 3], ScatterRows, "more than once"),
        (rows, [8, 1], ScatterRows, "behind the end of buffer 'matrix'"),
        (columns, [5], GatherColumns, "column 5 of 4-byte elements is outside a row of 20"),
        (columns, [-1], GatherColumns, "negative index -1"),
        (columns, [2, 2], ScatterColumns, "more than once"),
    ],
)
def test_bad_lists(build, index, command, match):
    chain = matrix_chain()
    # So that there is defined memory behind the buffer.
    chain[0].buffer("more", "f32", (100,))
    chain[0].values["more"] = np.ones(100)
    build(index, chain, command)
    with pytest.raises(OutOfBoundsError, match=match):
        chain[0].run()


def test_rows_that_overlap_cannot_be_stored():
    chain, dram = matrix_chain()
    spm = chain.load("tile", "f32", np.ones(4))
    chain.add(Store2D(dram=dram, spm=spm, rows=2, row_bytes=8, pitch=4))
    with pytest.raises(OutOfBoundsError, match="the pitch is less than a row"):
        chain.run()


def test_bytes_are_counted():
    chain, dram = matrix_chain()
    spm = chain.spm(4 * 6)
    chain.add(Load2D(dram=dram, spm=spm, rows=3, row_bytes=8, pitch=20))
    chain.store("result", "f32", (5,), spm)
    statistics = chain.machine().run()
    assert (statistics.dram_bytes_read, statistics.dram_bytes_written) == (24, 20)
    assert statistics.commands == {"dma.ld2d": 1, "dma.st2d": 1}
