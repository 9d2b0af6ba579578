"""The emitted product is right for all sizes, strides and blocks, and touches nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from matrices import Case, Multiplier, runs

from ssft.compiler.backends.cpu.gemm.goto import Blocks

SETS = [(isa, dtype) for isa in ("avx512", "avx2") for dtype in ("f32", "f64")]
NARROW = [(isa, dtype) for isa in ("avx512", "avx2") for dtype in ("f32", "bf16")]
SIZES = st.one_of(st.integers(1, 20), st.integers(1, 150))


@st.composite
def cases(draw: st.DrawFn, once: bool = False) -> Case:
    """With `once`, all of k is one block."""
    spread = draw(st.sampled_from([1, 1, 1, 1, 3]))
    by_n = draw(st.booleans())
    k = draw(SIZES)
    blocks = Blocks(
        mc=draw(st.sampled_from([8, 24, 64, 512])),
        nc=draw(st.sampled_from([48, 96, 144, 960])),
        kc=k if once else draw(st.sampled_from([1, 7, 16, 64, 512])),
        direct_a=draw(st.booleans()),
        direct_b=draw(st.booleans()) and by_n and spread == 1,
    )
    return Case(
        m=draw(SIZES),
        n=draw(SIZES),
        k=k,
        a_by_k=draw(st.booleans()),
        b_by_n=by_n,
        gaps=(draw(st.integers(0, 5)), draw(st.integers(0, 5)), draw(st.integers(0, 5))),
        spread=spread,
        accumulate=draw(st.booleans()),
        blocks=blocks,
        seed=draw(st.integers(0, 99)),
    )


def check_random(isa: str, dtype: str, operands: str = "") -> int:
    multiplier = Multiplier(isa, dtype, operands)
    count = 0

    @settings(
        max_examples=150,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(once=dtype == "bf16"))
    def each(case: Case) -> None:
        nonlocal count
        multiplier.check(case)
        count += 1

    each()
    return count


@pytest.mark.parametrize(("isa", "dtype"), SETS)
def test_random_products(isolated: Callable[..., Any], isa: str, dtype: str) -> None:
    if not runs(isa):
        pytest.skip(f"this host has no {isa}")
    assert isolated("check_random", isa, dtype) >= 150


@pytest.mark.parametrize(("isa", "dtype"), NARROW)
def test_random_products_of_bf16(isolated: Callable[..., Any], isa: str, dtype: str) -> None:
    if not runs(isa):
        pytest.skip(f"this host has no {isa}")
    assert isolated("check_random", isa, dtype, "bf16") >= 150


def check_edges(isa: str, dtype: str) -> int:
    """Sizes around those of register tiles and vectors."""
    multiplier = Multiplier(isa, dtype)
    rows, lanes = multiplier.isa.rows, multiplier.isa.lanes(dtype)
    columns = multiplier.isa.columns(dtype)
    count = 0
    for m in (1, rows - 1, rows, rows + 1, 5 * rows):
        for n in (1, lanes, columns - 1, columns, columns + 1, columns + lanes, 2 * columns + 1):
            for k, by_k, by_n in ((1, True, True), (lanes, False, True), (lanes + 1, True, False)):
                for direct in (False, True):
                    blocks = Blocks(direct_a=direct, direct_b=direct and by_n)
                    multiplier.check(Case(m, n, k, by_k, by_n, (0, 0, 0), 1, False, blocks, count))
                    count += 1
    return count


@pytest.mark.parametrize(("isa", "dtype"), SETS)
def test_edges_of_tiles(isolated: Callable[..., Any], isa: str, dtype: str) -> None:
    if not runs(isa):
        pytest.skip(f"this host has no {isa}")
    assert isolated("check_edges", isa, dtype) == 210


def check_orders(isa: str) -> bool:
    """Whether blocks other than those of k leave the bits as they are."""
    multiplier = Multiplier(isa, "f32")
    results = set()
    for mc, nc, direct in ((8, 48, False), (512, 960, True), (24, 96, False), (64, 960, True)):
        blocks = Blocks(mc=mc, nc=nc, kc=50, direct_a=direct, direct_b=direct)
        case = Case(61, 133, 120, True, True, (1, 2, 3), 1, True, blocks, 0)
        results.add(multiplier.check(case).tobytes())
    return len(results) == 1


@pytest.mark.parametrize("isa", ["avx512", "avx2"])
def test_blocks_do_not_change_bits(isolated: Callable[..., Any], isa: str) -> None:
    if not runs(isa):
        pytest.skip(f"this host has no {isa}")
    assert isolated("check_orders", isa)
