"""Operations that move elements, and constants."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from ssft.compiler.diagnostics import UserError

sys.path.insert(0, str(Path(__file__).parent))

from interpreting import evaluate, same_bits, type_of


def numbers(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


X = numbers(4, 6)
CASES = {
    "expand_shape": (
        "tensor.expand_shape %a0 [[0, 1], [2]] output_shape [2, 2, 6] : tensor<4x6xf32> into",
        X.reshape(2, 2, 6),
    ),
    "collapse_shape": (
        "tensor.collapse_shape %a0 [[0, 1]] : tensor<4x6xf32> into",
        X.reshape(24),
    ),
    "extract_slice": (
        "tensor.extract_slice %a0[1, 0] [2, 3] [1, 2] : tensor<4x6xf32> to",
        X[1:3, 0:6:2],
    ),
    "extract_slice, rank reduced": (
        "tensor.extract_slice %a0[2, 1] [1, 4] [1, 1] : tensor<4x6xf32> to",
        X[2, 1:5],
    ),
    "concat": (
        "tensor.concat dim(1) %a0, %a0 : (tensor<4x6xf32>, tensor<4x6xf32>) ->",
        np.concatenate([X, X], 1),
    ),
    "insert_slice": (
        "tensor.insert_slice %a1 into %a0[1, 2] [1, 3] [1, 1] : tensor<3xf32> into",
        np.concatenate([X[:1], [[6, 7, -1, -2, -3, 11]], X[2:]]).astype(np.float32),
    ),
    "cast": ("tensor.cast %a0 : tensor<4x6xf32> to", X),
    "splat": ("tensor.splat %f :", np.full((2, 2), 2.5, np.float32)),
    "from_elements": ("tensor.from_elements %f, %f, %f :", np.full(3, 2.5, np.float32)),
    "insert": (
        "tensor.insert %f into %a1[%one] :",
        np.array([-1, 2.5, -3], np.float32),
    ),
    "extract_slice, dynamic": (
        "tensor.extract_slice %a0[%one, 0] [2, 2] [1, 1] : tensor<4x6xf32> to",
        X[1:3, :2],
    ),
    "constant": ("arith.constant dense<[1.0, -2.0]> :", np.array([1, -2], np.float32)),
    "splat constant": ("arith.constant dense<3.0> :", np.full((2, 3), 3, np.float32)),
    "booleans": ("arith.constant dense<[true, false]> :", np.array([True, False])),
    "true": ("arith.constant dense<true> :", np.full(3, True)),
    "integers": ("arith.constant dense<[[1, -2]]> :", np.array([[1, -2]])),
    "arith of tensors": ("arith.addf %a0, %a0 :", X + X),
}


@pytest.mark.parametrize("name", CASES)
def test_operation(name):
    operation, expected = CASES[name]
    result = type_of(expected)
    body = f"""
      %one = arith.constant 1 : index
      %f = arith.constant 2.5 : f32
      %r = {operation} {result}
      return %r : {result}"""
    inputs = [X.copy(), np.array([-1, -2, -3], np.float32)]
    (found,) = evaluate(body, [result], *inputs)
    assert same_bits(found, expected)
    assert same_bits(inputs[0], X), "an operand was overwritten"


def test_constants_of_bf16():
    body = """
      %r = arith.constant dense<[1.0, -2.5, 0xFF80]> : tensor<3xbf16>
      %s = arith.constant dense<0.5> : tensor<2xbf16>
      return %r, %s : tensor<3xbf16>, tensor<2xbf16>"""
    found, splat = evaluate(body, ["tensor<3xbf16>", "tensor<2xbf16>"])
    assert found.tolist() == [1.0, -2.5, -np.inf]
    assert splat.tolist() == [0.5, 0.5]


def test_padding_and_generated_elements():
    body = """
      %f = arith.constant 9.0 : f32
      %p = tensor.pad %a0 low[1, 0] high[0, 2] {
      ^bb0(%i: index, %j: index):
        tensor.yield %f : f32
      } : tensor<4x6xf32> to tensor<5x8xf32>
      %g = tensor.generate {
      ^bb0(%i: index, %j: index):
        %s = arith.muli %i, %j : index
        %n = arith.index_cast %s : index to i64
        tensor.yield %n : i64
      } : tensor<3x4xi64>
      %one = arith.constant 1 : index
      %d = tensor.dim %a0, %one : tensor<4x6xf32>
      %e = arith.index_cast %d : index to i64
      %t = tensor.from_elements %e : tensor<i64>
      return %p, %g, %t : tensor<5x8xf32>, tensor<3x4xi64>, tensor<i64>"""
    padded, table, extent = evaluate(body, ["tensor<5x8xf32>", "tensor<3x4xi64>", "tensor<i64>"], X)
    assert same_bits(padded, np.pad(X, ((1, 0), (0, 2)), constant_values=9))
    assert same_bits(table, np.outer(np.arange(3), np.arange(4)))
    assert extent == 6


def test_an_element_is_taken_out():
    body = """
      %i = arith.index_cast %a1 : tensor<i64> to tensor<index>
      %n = tensor.extract %i[] : tensor<index>
      %one = arith.constant 1 : index
      %x = tensor.extract %a0[%n, %one] : tensor<4x6xf32>
      %y = math.absf %x : f32
      %r = tensor.from_elements %y : tensor<f32>
      return %r : tensor<f32>"""
    (found,) = evaluate(body, ["tensor<f32>"], -X, np.array(2))
    assert found == X[2, 1]
    with pytest.raises(UserError, match="outside of 0 to 3"):
        evaluate(body, ["tensor<f32>"], X, np.array(4))


def test_numbers_that_nobody_wrote_show():
    body = """
      %e = tensor.empty() : tensor<2xf32>
      %f = tensor.empty() : tensor<2xi64>
      return %e, %f : tensor<2xf32>, tensor<2xi64>"""
    floats, integers = evaluate(body, ["tensor<2xf32>", "tensor<2xi64>"])
    assert np.isnan(floats).all()
    assert (integers == -(2**63)).all()
