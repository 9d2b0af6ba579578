"""Contractions: the accelerator's arithmetic, number by number, in every layout."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from interpreting import evaluate, same_bits, slow_sum, tensor, to_bf16, type_of

from ssft.compiler.backends.interpreter import products

LAYOUTS = (
    "mk,kn->mn",
    "km,kn->mn",
    "mk,nk->nm",
    "bmk,bkn->bmn",
    "mbk,kbn->mbn",
    "bmhk,bnhk->bhmn",
    "lkm,lkn->mn",
    "kml,knl->mn",
    "mk,k->m",
    "bk,bk->b",
    "lmk,bnk->mnlb",
)
SIZES = {"m": 5, "n": 3, "k": 19, "b": 2, "h": 3, "l": 4}


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def contract(equation: str, arithmetic: str, *arrays: np.ndarray, element: str = "f32"):
    """A generic operation; its loops are the letters, those of the result first."""
    left, right, out = equation.replace("->", ",").split(",")
    loops = sorted(set(left + right), key=lambda c: (c not in out, c))
    domain = ", ".join(loops)
    maps = ", ".join(
        f"affine_map<({domain}) -> ({', '.join(name)})>" for name in (left, right, out)
    )
    kinds = ", ".join('"parallel"' if c in out else '"reduction"' for c in loops)
    a, b, c = (tensor(array.shape, element) for array in arrays)
    body = f"""
      %r = linalg.generic {{indexing_maps = [{maps}], iterator_types = [{kinds}]}}
          ins(%a0, %a1 : {a}, {b}) outs(%a2 : {c}) {{
      ^bb0(%x: {element}, %y: {element}, %s: {element}):
        %p = arith.mulf %x, %y : {element}
        %t = arith.addf %s, %p : {element}
        linalg.yield %t : {element}
      }} -> {c}
      return %r : {c}"""
    return evaluate(body, [c], *arrays, arithmetic=arithmetic, types=[a, b, c])[0]


def operands(equation: str) -> list[np.ndarray]:
    names = equation.replace("->", ",").split(",")
    return [normal(n, *(SIZES[c] for c in name)) for n, name in enumerate(names)]


def slow_contraction(equation: str, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """The specification, in loops; contracted loops in alphabetical order."""
    left, right, out = equation.replace("->", ",").split(",")
    inner = sorted(set(left) - set(out))
    result = np.empty_like(c)
    for position in np.ndindex(c.shape):
        at = dict(zip(out, position, strict=True))
        terms = []
        for k in np.ndindex(*(SIZES[letter] for letter in inner)):
            at |= dict(zip(inner, k, strict=True))
            terms.append(a[tuple(at[x] for x in left)] * b[tuple(at[x] for x in right)])
        result[position] = slow_sum(terms, c[position])
    return result


@pytest.mark.parametrize("equation", LAYOUTS)
def test_layouts(equation):
    a, b, c = operands(equation)
    assert same_bits(contract(equation, "f32", a, b, c), slow_contraction(equation, a, b, c))
    narrow = [np.vectorize(to_bf16)(x) for x in (a, b)]
    assert same_bits(contract(equation, "bf16", a, b, c), slow_contraction(equation, *narrow, c))
    exact = np.einsum(equation, a.astype(np.float64), b) + c
    np.testing.assert_allclose(contract(equation, "native", a, b, c), exact, rtol=1e-5, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    k=st.integers(1, 50),
    batch=st.integers(1, 3),
    m=st.integers(1, 6),
    n=st.integers(1, 6),
    block=st.sampled_from([1, 2, 5, 8192]),
)
def test_blocks_do_not_matter(k, batch, m, n, block):
    a, b, c = normal(0, k, batch, m), normal(1, k, batch, n), normal(2, batch, m, n)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "BLOCK", block)
        found = products.ordered_product(a, b, c)
    for position in np.ndindex(c.shape):
        g, i, j = position
        assert found[position] == slow_sum(a[:, g, i] * b[:, g, j], c[position])


def test_zero_padding_makes_zeros_positive():
    minus, one = np.full((1, 1, 1), -0.0, np.float32), np.ones((1, 1, 1), np.float32)
    assert not np.signbit(products.ordered_product(minus, one, minus)).any()
    full = np.full((16, 1, 1), -0.0, np.float32)
    assert np.signbit(products.ordered_product(full, np.abs(full) + 1, minus)).all()


def test_cutting_at_a_group_changes_nothing():
    a, b, c = normal(0, 6, 40), normal(1, 40, 7), np.zeros((6, 7), np.float32)
    whole = contract("mk,kn->mn", "bf16", a, b, c)
    first = contract("mk,kn->mn", "bf16", a[:, :32].copy(), b[:32].copy(), c)
    assert same_bits(contract("mk,kn->mn", "bf16", a[:, 32:].copy(), b[32:].copy(), first), whole)


def test_whole_numbers_are_exact_in_every_arithmetic():
    random = np.random.default_rng(0)
    a, b, c = (random.integers(-8, 9, s).astype(np.float32) for s in ((6, 40), (40, 7), (6, 7)))
    for arithmetic in ("native", "f32", "bf16"):
        assert (contract("mk,kn->mn", arithmetic, a, b, c) == a @ b + c).all()


@pytest.mark.parametrize("arithmetic", ["f32", "bf16"])
def test_errors_are_bounded(arithmetic):
    """A term passes through as many additions as groups follow, four of its tree, and a product.

    Each rounds by 2**-24 at most; rounding factors to bf16 by 2**-9 each.
    """
    k = 500
    a, b, c = normal(0, 9, k), normal(1, k, 8), np.zeros((9, 8), np.float32)
    exact = a.astype(np.float64) @ b
    size = np.abs(a.astype(np.float64)) @ np.abs(b)
    bound = (-(-k // 16) + 5) * 2.0**-24 + (2.01 * 2.0**-9 if arithmetic == "bf16" else 0)
    error = np.abs(contract("mk,kn->mn", arithmetic, a, b, c) - exact)
    assert (error <= bound * size).all()
    if arithmetic == "bf16":
        assert error.max() > 1e-4, "no factor was rounded"


def test_operands_are_not_overwritten():
    a, b, c = operands("mk,kn->mn")
    before = [x.copy() for x in (a, b, c)]
    for arithmetic in ("native", "f32", "bf16"):
        contract("mk,kn->mn", arithmetic, a, b, c)
    assert all(same_bits(x, y) for x, y in zip((a, b, c), before, strict=True))


def test_results_of_bf16_are_summed_in_f32():
    a, b = np.full((1, 48), 1.0, np.float32), np.full((48, 1), 1.0, np.float32)
    b[1:16] = b[17:32] = b[33:] = 0
    start = np.full((1, 1), 256.0, np.float32)
    for arithmetic in ("native", "bf16", "f32"):
        # 259 is between two bf16 numbers; adding 1 to 256 in bf16 three times gives 256.
        (found,) = contract("mk,kn->mn", arithmetic, a, b, start, element="bf16")
        assert found == 260.0


@pytest.mark.parametrize("arithmetic", ["native", "bf16"])
def test_doubles_and_integers_are_no_work_for_the_matrix_unit(arithmetic):
    random = np.random.default_rng(0)
    a, b, c = (random.standard_normal(s) for s in ((3, 20), (20, 4), (3, 4)))
    found = contract("mk,kn->mn", arithmetic, a, b, c, element="f64")
    np.testing.assert_allclose(found, a @ b + c, rtol=1e-13, atol=1e-13)
    x, y, z = (random.integers(-(2**40), 2**40, s) for s in ((3, 5), (5, 4), (3, 4)))
    body = """
      %r = linalg.matmul ins(%a0, %a1 : tensor<3x5xi64>, tensor<5x4xi64>)
          outs(%a2 : tensor<3x4xi64>) -> tensor<3x4xi64>
      return %r : tensor<3x4xi64>"""
    (found,) = evaluate(body, [type_of(z)], x, y, z, arithmetic=arithmetic)
    assert same_bits(found, x @ y + z)


NAMED = {
    "matmul": ("", "mk,kn->mn"),
    "batch_matmul": ("", "bmk,bkn->bmn"),
    "matmul transposed": (
        "indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, "
        "affine_map<(m, n, k) -> (m, n)>]",
        "mk,nk->mn",
    ),
}


@pytest.mark.parametrize("name", NAMED)
def test_named_contractions(name):
    maps, equation = NAMED[name]
    a, b, c = operands(equation)
    result = type_of(c)
    body = f"""
      %r = linalg.{name.split()[0]} {maps} ins(%a0, %a1 : {type_of(a)}, {type_of(b)})
          outs(%a2 : {result}) -> {result}
      return %r : {result}"""
    for arithmetic in ("f32", "bf16"):
        (found,) = evaluate(body, [result], a, b, c, arithmetic=arithmetic)
        assert same_bits(found, contract(equation, arithmetic, a, b, c))


def test_narrow_factors_of_a_wide_sum():
    a, b = (np.vectorize(to_bf16)(normal(n, *s)) for n, s in enumerate(((4, 20), (20, 3))))
    body = """
      %r = linalg.matmul ins(%a0, %a1 : tensor<4x20xbf16>, tensor<20x3xbf16>)
          outs(%a2 : tensor<4x3xf32>) -> tensor<4x3xf32>
      return %r : tensor<4x3xf32>"""
    types = ["tensor<4x20xbf16>", "tensor<20x3xbf16>", "tensor<4x3xf32>"]
    zeros = np.zeros((4, 3), np.float32)
    (found,) = evaluate(body, types[2:], a, b, zeros, types=types, arithmetic="bf16")
    assert same_bits(found, contract("mk,kn->mn", "f32", a, b, zeros))


def test_sums_of_squares_are_no_contraction():
    """Nothing is rounded to bf16: only the matrix unit does that."""
    x = normal(0, 5, 40)
    body = """
      %r = linalg.generic {indexing_maps = [affine_map<(i, k) -> (i, k)>,
          affine_map<(i, k) -> (i)>], iterator_types = ["parallel", "reduction"]}
          ins(%a0 : tensor<5x40xf32>) outs(%a1 : tensor<5xf32>) {
      ^bb0(%x: f32, %s: f32):
        %p = arith.mulf %x, %x : f32
        %t = arith.addf %s, %p : f32
        linalg.yield %t : f32
      } -> tensor<5xf32>
      return %r : tensor<5xf32>"""
    zeros = np.zeros(5, np.float32)
    (found,) = evaluate(body, ["tensor<5xf32>"], x, zeros, arithmetic="bf16")
    assert same_bits(found, np.array([slow_sum(row * row, 0) for row in x]))
