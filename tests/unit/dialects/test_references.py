"""Each operation's NumPy reference: against values worked out by hand, and against native code."""

from __future__ import annotations

import numpy as np
import pytest

from ssft.dialects._mlir import ir
from ssft.dialects.scalar import rounded

RNG = np.random.default_rng(0)


def parse(op: str, arguments: str, result: str) -> ir.Module:
    return ir.Module.parse(
        f"func.func @f({arguments}) -> ({result}) {{\n{op}\n return %r : {result}\n}}"
    )


def first_ssft_op(module: ir.Module) -> ir.OpView:
    block = module.body.operations[0].regions[0].blocks[0]
    return next(op for op in block.operations if op.operation.name.startswith("ssft."))


def compare(module: ir.Module, run_natively, *inputs, exact: bool = True) -> np.ndarray:
    """Checks native code against the reference and returns the latter's first result."""
    (expected,) = first_ssft_op(module).reference(*inputs)
    originals = [array.copy() for array in inputs]
    (actual,) = run_natively(module, list(inputs), [np.zeros_like(expected)])
    if exact:
        np.testing.assert_array_equal(actual, expected)
    else:
        np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)
    for array, original in zip(inputs, originals, strict=True):
        np.testing.assert_array_equal(array, original, err_msg="reference changed its input")
    return expected


@pytest.mark.parametrize(
    ("dim", "shape", "result"),
    [(0, "3x5x6", "4x5x6"), (1, "3x5x6", "3x4x6"), (2, "3x5x6", "3x5x4")],
)
def test_gather(run_natively, dim, shape, result):
    module = parse(
        f'%r = "ssft.gather"(%x, %i) {{dim = {dim} : i64}} : '
        f"(tensor<{shape}xf32>, tensor<4xi64>) -> tensor<{result}xf32>",
        f"%x: tensor<{shape}xf32>, %i: tensor<4xi64>",
        f"tensor<{result}xf32>",
    )
    x = RNG.standard_normal((3, 5, 6)).astype(np.float32)
    indices = np.array([2, 0, 2, 1])
    got = compare(module, run_natively, x, indices)
    np.testing.assert_array_equal(got, x.swapaxes(0, dim)[indices].swapaxes(0, dim))


@pytest.mark.parametrize(("dim", "part"), [(0, "2x4"), (1, "3x2")])
def test_scatter(run_natively, dim, part):
    module = parse(
        f'%r = "ssft.scatter"(%x, %i, %s) {{dim = {dim} : i64}} : '
        f"(tensor<3x4xf64>, tensor<2xi64>, tensor<{part}xf64>) -> tensor<3x4xf64>",
        f"%x: tensor<3x4xf64>, %i: tensor<2xi64>, %s: tensor<{part}xf64>",
        "tensor<3x4xf64>",
    )
    x = np.arange(12.0).reshape(3, 4)
    slice_ = -1.0 - np.arange(8.0 if dim == 0 else 6.0).reshape([int(n) for n in part.split("x")])
    got = compare(module, run_natively, x, np.array([2, 0]), slice_)
    expected = x.copy()
    for j, i in enumerate([2, 0]):
        if dim == 0:
            expected[i, :] = slice_[j, :]
        else:
            expected[:, i] = slice_[:, j]
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(("element", "dtype"), [("f32", np.float32), ("i32", np.int32)])
def test_scatter_add_accumulates_duplicates(run_natively, element, dtype):
    module = parse(
        f'%r = "ssft.scatter_add"(%x, %i, %s) {{dim = 0 : i64}} : '
        f"(tensor<3x2x{element}>, tensor<4xi64>, tensor<4x2x{element}>) -> tensor<3x2x{element}>",
        f"%x: tensor<3x2x{element}>, %i: tensor<4xi64>, %s: tensor<4x2x{element}>",
        f"tensor<3x2x{element}>",
    )
    x = np.array([[1, 1], [2, 2], [3, 3]], dtype)
    updates = np.array([[10, 20], [1, 2], [100, 200], [5, 6]], dtype)
    got = compare(module, run_natively, x, np.array([1, 0, 1, 1]), updates)
    assert got.tolist() == [[2, 3], [117, 228], [3, 3]]


def test_save_slice(run_natively):
    module = parse(
        '%r = "ssft.save_slice"(%x) {dim = 1 : i64, offset = 1 : i64, size = 2 : i64} : '
        "(tensor<2x4x3xf32>) -> tensor<2x2x3xf32>",
        "%x: tensor<2x4x3xf32>",
        "tensor<2x2x3xf32>",
    )
    x = RNG.standard_normal((2, 4, 3)).astype(np.float32)
    np.testing.assert_array_equal(compare(module, run_natively, x), x[:, 1:3])


def test_barrier(run_natively):
    module = parse(
        '%r = "ssft.barrier"(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>',
        "%x: tensor<2x3xf32>",
        "tensor<2x3xf32>",
    )
    x = RNG.standard_normal((2, 3)).astype(np.float32)
    np.testing.assert_array_equal(compare(module, run_natively, x), x)


def test_empty_slices(run_natively):
    module = parse(
        '%e = "ssft.gather"(%x, %i) {dim = 1 : i64} : (tensor<2x3xf32>, tensor<0xi64>) '
        '-> tensor<2x0xf32>\n%r = "ssft.scatter"(%x, %i, %e) {dim = 1 : i64} : '
        "(tensor<2x3xf32>, tensor<0xi64>, tensor<2x0xf32>) -> tensor<2x3xf32>",
        "%x: tensor<2x3xf32>, %i: tensor<0xi64>",
        "tensor<2x3xf32>",
    )
    x = RNG.standard_normal((2, 3)).astype(np.float32)
    (got,) = run_natively(module, [x, np.zeros(0, np.int64)], [np.zeros_like(x)])
    np.testing.assert_array_equal(got, x)


@pytest.mark.parametrize(("lhs", "rhs"), [("7x4", "7x3"), ("2x5x4", "2x5x3")])
@pytest.mark.parametrize(("operand", "result"), [("f32", "f32"), ("f32", "f64"), ("f64", "f64")])
def test_weight_grad(run_natively, lhs, rhs, operand, result):
    module = parse(
        f'%r = "ssft.weight_grad"(%a, %b) : (tensor<{lhs}x{operand}>, tensor<{rhs}x{operand}>) '
        f"-> tensor<4x3x{result}>",
        f"%a: tensor<{lhs}x{operand}>, %b: tensor<{rhs}x{operand}>",
        f"tensor<4x3x{result}>",
    )
    dtype = {"f32": np.float32, "f64": np.float64}[operand]
    a, b = (RNG.standard_normal([int(n) for n in s.split("x")]).astype(dtype) for s in (lhs, rhs))
    got = compare(module, run_natively, a, b, exact=False)
    np.testing.assert_allclose(got, a.reshape(-1, 4).T @ b.reshape(-1, 3), rtol=1e-5, atol=1e-5)
    assert got.dtype == {"f32": np.float32, "f64": np.float64}[result]


ADAM = """
  %b1 = arith.constant 0.9 : f32
  %b2 = arith.constant 0.999 : f32
  %one = arith.constant 1.0 : f32
  %eps = arith.constant 1.0e-8 : f32
  %r:3 = "ssft.update"(%w, %m, %v, %g) ({
  ^bb0(%we: f32, %me: f32, %ve: f32, %ge: f32):
    %l = arith.truncf %lr : f64 to f32
    %m1 = arith.mulf %b1, %me : f32
    %c1 = arith.subf %one, %b1 : f32
    %m2 = arith.mulf %c1, %ge : f32
    %mn = arith.addf %m1, %m2 : f32
    %v1 = arith.mulf %b2, %ve : f32
    %c2 = arith.subf %one, %b2 : f32
    %gg = arith.mulf %ge, %ge : f32
    %v2 = arith.mulf %c2, %gg : f32
    %vn = arith.addf %v1, %v2 : f32
    %s = math.sqrt %vn : f32
    %d = arith.addf %s, %eps : f32
    %q = arith.divf %mn, %d : f32
    %p = arith.mulf %l, %q : f32
    %wn = arith.subf %we, %p : f32
    "ssft.yield"(%wn, %mn, %vn) : (f32, f32, f32) -> ()
  }) {operandSegmentSizes = array<i32: 1, 2, 1>} : (T, T, T, T) -> (T, T, T)
  return %r#0, %r#1, %r#2 : T, T, T
"""


def adam_module() -> ir.Module:
    arguments = "%w: T, %m: T, %v: T, %g: T, %lr: f64"
    text = f"func.func @f({arguments}) -> (T, T, T) {{{ADAM}}}"
    return ir.Module.parse(text.replace("T", "tensor<3x4xf32>"))


def test_update_runs_adam(run_natively):
    w, m, g = (RNG.standard_normal((3, 4)).astype(np.float32) for _ in range(3))
    v = RNG.random((3, 4)).astype(np.float32)
    module = adam_module()
    op = first_ssft_op(module)
    rate = next(value for value in op.captured() if str(value.type) == "f64")
    expected = op.reference(w, m, v, g, captured={rate: 0.1})

    m64 = 0.9 * m.astype(np.float64) + 0.1 * g
    v64 = 0.999 * v.astype(np.float64) + 0.001 * g.astype(np.float64) ** 2
    by_hand = (w - 0.1 * m64 / (np.sqrt(v64) + 1e-8), m64, v64)
    for got, right in zip(expected, by_hand, strict=True):
        np.testing.assert_allclose(got, right, rtol=1e-5)

    del op, rate  # handles into IR that is about to be lowered
    outputs = run_natively(module, [w, m, v, g, 0.1], [np.zeros_like(w) for _ in range(3)])
    for got, right in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(got, right, rtol=2e-7)


def test_update_reference_names_the_scalar_that_is_missing(context):
    w = np.ones((3, 4), np.float32)
    module = adam_module()
    with pytest.raises(KeyError, match="no value given for the block argument"):
        first_ssft_op(module).reference(w, w, w, w)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1.0, 1.0), (1.00390625, 1.0), (1.01171875, 1.015625), (-3.1415927, -3.140625)],
)
def test_bf16_rounds_to_nearest_even(context, value, expected):
    assert rounded(np.float32(value), ir.BF16Type.get()).item() == expected


def test_bf16_keeps_nan_and_infinity(context):
    got = rounded(np.array([np.nan, np.inf, -np.inf], np.float32), ir.BF16Type.get())
    assert np.isnan(got[0]) and got[1] == np.inf and got[2] == -np.inf
