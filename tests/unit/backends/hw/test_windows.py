"""Products larger than the scratchpad: a factor streams past a window of the other one's strips."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from accelerator_products import LAYOUTS, half_precision, operands, product
from accelerator_steps import accelerator, in_random_order, run, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st

from ssft.compiler.backends.hw import compile_program
from ssft.compiler.backends.hw.tiles.boxes import Box
from ssft.compiler.backends.hw.tiles.contraction import ContractionTiles
from ssft.compiler.backends.hw.tiles.timeline import Load, Product, Result, finish
from ssft.compiler.backends.hw.tiles.windows import (
    FIRST_PACE,
    PACES,
    Window,
    Windows,
    WindowSpace,
    search_windows,
)
from ssft.compiler.backends.interpreter import interpret_step
from ssft.hwmodel.config import load_machine
from ssft.hwmodel.report import report
from ssft.hwmodel.timing.events import simulate

SMALL = load_machine("ssft-edge", ["scratchpad.bytes=100000", "dram.bandwidth=40e9"])
SERVER = load_machine("ssft-server")


def space(layout: str, m: int, n: int, k: int, swapped: bool = False) -> WindowSpace:
    found = WindowSpace(("m", "n", "k"), *operands(layout, m, n, k, "bf16"), SMALL)
    if swapped:
        found.swap()
    return found


def ranges(box: Box) -> tuple[slice, ...]:
    return tuple(slice(at, at + size) for at, size in zip(box.starts, box.sizes, strict=True))


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=20, deadline=None)
@given(
    st.integers(2, 300),
    st.integers(2, 300),
    st.tuples(
        st.integers(1, 4),
        st.integers(1, 4),
        st.integers(1, 8),
        st.sampled_from((FIRST_PACE, *PACES)),
    ),
    st.booleans(),
)
def test_each_result_is_computed_once_and_strips_stay_until_they_are_done(
    layout, m, n, window, swapped
) -> None:
    windows = space(layout, m, n, 64, swapped)
    window = Window(*window)
    if not windows.is_legal(window):
        return
    done = np.zeros((m, n), dtype=int)
    held: list[int] = []
    axis = 0 if swapped else 1
    for box in windows.boxes(window):
        rows, columns, depth = ranges(box)
        done[rows, columns] += 1
        assert depth == slice(0, 64)
        assert box.first and box.last
        held.append(box.starts[axis])
    assert (done == 1).all()
    # Pieces are taken in turn, so a strip must not be asked for when as many others have come.
    arrival = {start: number for number, start in enumerate(dict.fromkeys(held))}
    pieces = windows.buffers(window)[0 if swapped else 1]
    newest = 0
    for start in held:
        newest = max(newest, arrival[start])
        assert arrival[start] > newest - pieces


def test_strips_of_a_window_come_one_after_the_other() -> None:
    """Four tiles, five strips, two at a time, one tile apart."""
    windows = space("nt", 64, 80, 64)
    order = [
        (box.starts[0] // 16, box.starts[1] // 16) for box in windows.boxes(Window(1, 1, 2, 1))
    ]
    strips = [[strip for _, strip in order].index(strip) for strip in range(5)]
    steps = [number for number, (one, other) in enumerate(pairwise(order)) if one[0] != other[0]]
    assert strips == sorted(strips)
    assert order[:9] == [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1), (0, 1), (0, 2)]
    assert Counter(strip for _, strip in order) == dict.fromkeys(range(5), 4)
    assert len(steps) + 1 == 4 * 3, "three rounds of four tiles that are loaded"


def test_a_load_waits_for_room_and_a_product_for_that_of_its_result() -> None:
    """Issue 10, latency 70: a second tile in the room of the first, results in the same room."""
    loads = [Load(100), Load(50, 1)]
    products = [Product(400, 1), Product(300, 2)]
    stores = [Result(30, 0), Result(30, 1)]
    first = 10 + 100 + 70 + 400
    assert finish(loads, products, stores, 10, 70) == first + 2 * 30 + 50 + 70 + 300 - 30 + 70 + 30
    waits = [products[0], Product(300, 2, 1)]
    slow = [Result(500, 0), Result(30, 1)]
    # While both flow the load takes twice as long, and the store that much longer.
    assert finish(loads, waits, slow, 10, 70) == first + 550 + 70 + 300 + 30 + 70


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What kind of tiles products get: windows, slabs, or None."""
    found: list[Any] = []
    emit = ContractionTiles.emit

    def observed(self: ContractionTiles, *arguments) -> None:
        found.append(self.choice[-1])  # type: ignore[index]
        emit(self, *arguments)

    monkeypatch.setattr(ContractionTiles, "emit", observed)
    return found


@pytest.mark.parametrize("kind", ["f32", "bf16", "bf16 transposed"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_results_are_the_same_bits(layout: str, kind: str, chosen: list[Any]) -> None:
    """Extents that no granule divides; also with the factors' parts, if loads are cut in parts."""
    m, n, k = 264, 520, 200
    a_inner, b_inner = LAYOUTS[layout]
    random = np.random.default_rng(0)
    shapes = (m, k) if a_inner else (k, m), (n, k) if b_inner else (k, n)
    arguments = [random.standard_normal(shape, dtype=np.float32) for shape in shapes]
    text = product(layout, m, n, k)
    if kind != "f32":
        text = half_precision(layout, m, n, k, transposed="transposed" in kind)
        arguments = [(a.view(np.uint32) >> 16).astype(np.uint16) for a in arguments]
    program = accelerator(text, SMALL)
    assert [type(tiles) for tiles in chosen] == [Windows]
    (expected,) = run(interpret_step(text, "bf16"), arguments)
    for one in (program, *(in_random_order(program, seed) for seed in range(2))):
        (found,) = run(one, arguments)
        assert same_bits(found, expected)


@pytest.mark.parametrize(
    ("text", "layout", "least"),
    [
        pytest.param(half_precision, "nt", 0.895, id="bf16, x @ w.T"),
        pytest.param(half_precision, "tt", 0.85, id="bf16, x.T @ y"),
        pytest.param(product, "nt", 0.855, id="f32, x @ w.T"),
        pytest.param(product, "tt", 0.835, id="f32, x.T @ y"),
    ],
)
def test_large_products_keep_the_server_busy(text, layout, least, chosen: list[Any]) -> None:
    """8192 x 8192 x 8192: tiles in the order of loops reach 0.90, 0.83, 0.84 and 0.71."""
    program = compile_program(text(layout, 8192, 8192, 8192), SERVER)
    (windows,) = chosen
    assert isinstance(windows, Windows)
    found = simulate(program, SERVER)
    assert report(found)["utilisation"]["tensor"] >= least
    # List scheduling takes a load that there is room for before one that there is none for.
    assert 0.95 * windows.cycles < found.cycles < 1.002 * windows.cycles


def test_windows_stay_within_what_they_may_take() -> None:
    whole = operands("nt", 1024, 1024, 1024, "bf16")
    for budget in (1 << 19, 1 << 20):
        found = search_windows(("m", "n", "k"), *whole, SMALL, budget, 1 << 40)
        assert found is not None
        taken = [
            max(box.sizes[axis] for box in found.boxes) * 1024 * 2 * count
            for axis, count in zip((0, 1), found.buffers, strict=False)
        ]
        result = max(box.sizes[0] * box.sizes[1] for box in found.boxes) * 2 * found.buffers[2]
        assert budget // 2 < sum(taken) + result <= budget
    assert search_windows(("m", "n", "k"), *whole, SMALL, 1 << 16, 1 << 40) is None
    assert search_windows(("m", "n", "k"), *whole, SMALL, 1 << 20, 1) is None
