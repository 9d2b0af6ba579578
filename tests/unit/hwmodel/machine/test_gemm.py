"""Contractions: the machine's bits are those of the documented arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from machine_programs import Chain, bits, slow_contraction, to_bf16

from ssft.hwmodel.isa import Contraction, Dim, Gemm
from ssft.hwmodel.machine import MachineError, OutOfBoundsError, UninitializedError

SPECIAL = np.array(
    [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-42, 3e38, 1.0, 2.0**-133], np.float32
)


def run_gemm(contraction, a, b, c, index=None, accumulate=False, **more):
    """The flat result of one command on flat operands."""
    chain = Chain()
    addresses = [
        chain.load(name, getattr(contraction, f"{name}_dtype"), values)
        for name, values in (("a", a), ("b", b), ("c", c))
    ]
    lists = {} if index is None else {"index": chain.load("list", "i64", index)}
    chain.program.contractions.append(contraction)
    fields = dict(zip("abc", addresses, strict=True)) | lists | more
    chain.add(Gemm(shape=0, accumulate=int(accumulate), **fields))
    chain.store("result", contraction.c_dtype, c.shape, addresses[2])
    return chain.run().read("result")


def matmul(m, n, k, **more) -> Contraction:
    return Contraction((Dim("m", m, k, 0, n), Dim("n", n, 0, 1, 1), Dim("k", k, 1, n, 0)), **more)


@st.composite
def layouts(draw):
    """A contraction with up to two dimensions of a kind, each operand laid out in any order."""
    kinds = draw(st.lists(st.sampled_from(["batch", "m", "n", "k"]), min_size=1, max_size=5))
    extents = [
        draw(st.sampled_from([1, 2, 3, 5, 17, 35] if k == "k" else [1, 2, 4])) for k in kinds
    ]
    strides = {}
    for operand, moved in (("a", "batch m k"), ("b", "batch n k"), ("c", "batch m n")):
        own = [i for i, kind in enumerate(kinds) if kind in moved.split()]
        step, found = draw(st.sampled_from([1, 1, 2])), {}
        for i in draw(st.permutations(own)):
            found[i], step = step, step * extents[i]
        strides[operand] = [found.get(i, 0) for i in range(len(kinds))]
    dims = zip(kinds, extents, strides["a"], strides["b"], strides["c"], strict=True)
    dtype = st.sampled_from(["bf16", "f32"])
    chosen = {name: draw(dtype) for name in ("a_dtype", "b_dtype", "c_dtype", "multiply")}
    return Contraction(tuple(Dim(*dim) for dim in dims), **chosen)


def size(contraction, operand):
    return 1 + sum((d.extent - 1) * getattr(d, operand) for d in contraction.dims)


def operand(random, contraction, name, special=False):
    values = random.standard_normal(size(contraction, name)).astype(np.float32)
    if special:
        where = random.random(values.size) < 0.2
        values[where] = random.choice(SPECIAL, where.sum())
    return to_bf16(values) if getattr(contraction, f"{name}_dtype") == "bf16" else values


@settings(max_examples=150, deadline=None)
@given(layouts(), st.integers(0, 99), st.booleans(), st.booleans())
def test_bits_of_any_contraction(contraction, seed, accumulate, special):
    random = np.random.default_rng(seed)
    a, b, c = (operand(random, contraction, name, special) for name in "abc")
    with np.errstate(all="ignore"):
        expected = slow_contraction(contraction, a, b, c, accumulate=accumulate)
        if contraction.c_dtype == "bf16":
            finite = to_bf16(expected)
            expected = np.where(np.isnan(expected), expected, finite)
    assert np.array_equal(
        bits(run_gemm(contraction, a, b, c, accumulate=accumulate)), bits(expected)
    )


@pytest.mark.parametrize(("m", "n"), [(40, 3), (3, 40), (33, 65), (1, 1)])
@pytest.mark.parametrize("kind", ["m", "n"])
def test_list_selects_along_a_dimension(m, n, kind):
    """The operand has more rows than are selected; rows may repeat, in any order."""
    random = np.random.default_rng(0)
    contraction = matmul(m, n, 20, multiply="f32", indexed=0 if kind == "m" else 1)
    count, total = (m, 50) if kind == "m" else (n, 70)
    if kind == "n":
        dims = (Dim("m", m, 20, 0, n), Dim("n", n, 0, 20, 1), Dim("k", 20, 1, 1, 0))
        contraction = Contraction(dims, multiply="f32", indexed=1)
    a = random.standard_normal((total if kind == "m" else m) * 20).astype(np.float32)
    b = random.standard_normal((total if kind == "n" else n) * 20).astype(np.float32)
    index = random.integers(0, total, count)
    c = np.zeros(m * n, np.float32)
    expected = slow_contraction(contraction, a, b, c, index)
    assert np.array_equal(bits(run_gemm(contraction, a, b, c, index)), bits(expected))


def test_products_are_rounded_before_they_are_added():
    """With a fused multiply-add the sum would be 2**-46, not 0."""
    x = np.float32(1 + 2.0**-23)
    a = np.array([x, -1], np.float32)
    b = np.array([x, np.float32(x * x)], np.float32)
    result = run_gemm(matmul(1, 1, 2, multiply="f32"), a, b, np.zeros(1, np.float32))
    assert result[0] == 0
    wide = matmul(1, 64, 2, multiply="f32")
    result = run_gemm(wide, a, np.repeat(b, 64), np.zeros(64, np.float32))
    assert not result.any()


def test_cutting_k_at_a_group_changes_no_bit():
    random = np.random.default_rng(1)
    a = random.standard_normal(4 * 64).astype(np.float32)
    b = random.standard_normal(64 * 5).astype(np.float32)
    zero = np.zeros(20, np.float32)
    whole = run_gemm(matmul(4, 5, 64), a, b, zero)
    first = run_gemm(matmul(4, 5, 48), a.reshape(4, 64)[:, :48].ravel(), b[: 48 * 5], zero)
    rest = (a.reshape(4, 64)[:, 48:].ravel(), b[48 * 5 :])
    both = run_gemm(matmul(4, 5, 16), *rest, first, accumulate=True)
    assert np.array_equal(bits(whole), bits(both))


def test_negative_zero_start_and_products():
    """Padding with +0 turns a sum of -0 into +0."""
    a, b = np.array([-0.0], np.float32), np.array([1.0], np.float32)
    result = run_gemm(matmul(1, 1, 1), a, b, np.array([-0.0], np.float32), accumulate=True)
    assert not np.signbit(result[0])


def gemm_error(contraction, error, match, a=4, b=4, c=4, **more):
    arrays = (np.ones(count, np.float32) for count in (a, b, c))
    with pytest.raises(error, match=match):
        run_gemm(contraction, *arrays, **more)


def test_errors_name_the_command():
    gemm_error(matmul(2, 2, 2), MachineError, r"tensor\[0\] `gemm a=.*m\.py:7", index=[0, 1])
    moving = (Dim("m", 2, 2, 0, 2), Dim("n", 2, 0, 1, 1), Dim("k", 2, 1, 2, 1))
    gemm_error(Contraction(moving), MachineError, "k dimension moves in the result")
    twice = (Dim("m", 2, 2, 0, 1), Dim("n", 2, 0, 1, 1), Dim("k", 2, 1, 2, 0))
    gemm_error(Contraction(twice), MachineError, "more than once")
    indexed = matmul(2, 2, 2, indexed=2)
    gemm_error(indexed, MachineError, "not m or n", index=[0, 1])
    gemm_error(matmul(2, 2, 2, indexed=0), OutOfBoundsError, "negative index -3", index=[0, -3])
    gemm_error(matmul(2, 2, 2, indexed=0), OutOfBoundsError, "accesses", index=[0, 10**6])


def test_result_over_an_operand_and_unaligned():
    for fields, match in (({"c": 0}, "overlaps operand a"), ({"a": 2}, "not aligned to 4 bytes")):
        chain = Chain()
        x = chain.load("x", "f32", np.ones(64))
        chain.program.contractions.append(matmul(2, 2, 2))
        operands = {"a": x, "b": x + 64, "c": x + 128} | fields
        chain.add(Gemm(shape=0, **operands))
        with pytest.raises(MachineError, match=match):
            chain.run()


def test_accumulator_must_be_defined():
    for accumulate in (0, 1):
        chain = Chain()
        x = chain.load("x", "f32", np.ones(4))
        out = chain.spm(16, "sums")
        chain.program.contractions.append(matmul(2, 2, 2))
        chain.add(Gemm(a=x, b=x, c=out, shape=0, accumulate=accumulate))
        chain.store("y", "f32", (4,), out)
        if accumulate:
            with pytest.raises(UninitializedError, match="slot 'sums'"):
                chain.run()
        else:
            assert chain.run().read("y").tolist() == [2] * 4
