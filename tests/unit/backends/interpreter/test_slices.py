"""Operations of the ssft dialect against their references."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from ssft.compiler.analysis.step import find_step, operations
from ssft.compiler.diagnostics import UserError
from ssft.dialects import new_context
from ssft.dialects._mlir import ir

sys.path.insert(0, str(Path(__file__).parent))

from interpreting import evaluate, plan_text, same_bits, slow_sum, to_bf16, type_of

RANDOM = np.random.default_rng(0)
W = RANDOM.standard_normal((6, 8)).astype(np.float32)
DY, Y = (RANDOM.standard_normal(s).astype(np.float32) for s in ((3, 7, 4), (3, 7, 5)))
ROWS = np.array([4, 0, 3])
PART = RANDOM.standard_normal((3, 8)).astype(np.float32)
COLUMNS = RANDOM.standard_normal((6, 3)).astype(np.float32)

CASES = {
    "gather rows": ('"ssft.gather"(%a0, %a1) {dim = 0 : i64}', (W, ROWS), PART),
    "gather columns": ('"ssft.gather"(%a0, %a1) {dim = 1 : i64}', (W, ROWS), COLUMNS),
    "scatter rows": ('"ssft.scatter"(%a0, %a1, %a2) {dim = 0 : i64}', (W, ROWS, PART), W),
    "scatter columns": (
        '"ssft.scatter"(%a0, %a1, %a2) {dim = 1 : i64}',
        (W, ROWS, COLUMNS),
        W,
    ),
    "add narrow": (
        '"ssft.scatter_add"(%a0, %a1, %a2) {dim = 0 : i64}',
        (W, np.array([5, 1, 5]), PART),
        W,
    ),
    "add columns": (
        '"ssft.scatter_add"(%a0, %a1, %a2) {dim = 1 : i64}',
        (W, np.array([2, 2, 2]), COLUMNS),
        W,
    ),
    "add wide": (
        '"ssft.scatter_add"(%a0, %a1, %a2) {dim = 0 : i64}',
        (
            np.zeros((4, 40), np.float32),
            np.array([2, 0, 2, 2]),
            RANDOM.standard_normal((4, 40)).astype(np.float32),
        ),
        np.zeros((4, 40)),
    ),
    "save": (
        '"ssft.save_slice"(%a0) {dim = 1 : i64, offset = 2 : i64, size = 3 : i64}',
        (W,),
        COLUMNS,
    ),
    "barrier": ('"ssft.barrier"(%a0)', (W,), W),
    "gradient": ('"ssft.weight_grad"(%a0, %a1)', (DY, Y), np.zeros((4, 5))),
}


def plan(operation: str, arrays: tuple[np.ndarray, ...], result: str) -> tuple[str, str]:
    body = f"""
      %r = {operation} : ({", ".join(map(type_of, arrays))}) -> {result}
      return %r : {result}"""
    return body, plan_text([type_of(array) for array in arrays], [result], body)


@pytest.mark.parametrize("name", CASES)
def test_operation_is_its_reference(name):
    operation, arrays, like = CASES[name]
    result = type_of(like.astype(np.float32))
    body, text = plan(operation, arrays, result)
    module = ir.Module.parse(text, new_context())
    op = next(iter(operations(find_step(module.operation)))).opview
    (expected,) = op.reference(*arrays)
    (found,) = evaluate(body, [result], *arrays)
    if name == "gradient":
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    else:
        assert same_bits(found, expected)


def test_gradients_add_tokens_in_order():
    body, _ = plan('"ssft.weight_grad"(%a0, %a1)', (DY, Y), "tensor<4x5xf32>")
    left, right = DY.reshape(21, 4), Y.reshape(21, 5)
    for arithmetic in ("f32", "bf16"):
        (found,) = evaluate(body, ["tensor<4x5xf32>"], DY, Y, arithmetic=arithmetic)
        if arithmetic == "bf16":
            left, right = (np.vectorize(to_bf16)(x) for x in (left, right))
        expected = [[slow_sum(left[:, i] * right[:, j], 0) for j in range(5)] for i in range(4)]
        assert same_bits(found, np.array(expected))


def test_indices_are_checked():
    for name in ("gather rows", "scatter rows", "add narrow"):
        operation, arrays, like = CASES[name]
        body, _ = plan(operation, arrays, type_of(like))
        wrong = [arrays[0], np.array([0, 1, 6]), *arrays[2:]]
        with pytest.raises(UserError, match="outside of 0 to 5"):
            evaluate(body, [type_of(like)], *wrong)


UPDATE = """
      %lr = tensor.extract %a3[] : tensor<f64>
      %r:2 = "ssft.update"(%a0, %a1, %a2) ({
      ^bb0(%w: f32, %m: f32, %g: f32):
        %c = arith.constant 0.9 : f32
        %d = arith.mulf %m, %c : f32
        %n = arith.addf %d, %g : f32
        %e = arith.extf %n : f32 to f64
        %s = arith.mulf %e, %lr : f64
        %t = arith.truncf %s : f64 to f32
        %v = arith.subf %w, %t : f32
        "ssft.yield"(%v, %n) : (f32, f32) -> ()
      }) {operandSegmentSizes = array<i32: 1, 1, 1>} : (TYPE, TYPE, TYPE) -> (TYPE, TYPE)
      return %r#0, %r#1 : TYPE, TYPE"""


@pytest.mark.parametrize("rows", [6, 30000])
def test_updates_run_their_region(rows):
    w, m, g = (RANDOM.standard_normal((rows, 4)).astype(np.float32) for _ in range(3))
    type_ = type_of(w)
    rate = np.array(0.013)
    new, moment = evaluate(UPDATE.replace("TYPE", type_), [type_] * 2, w, m, g, rate)
    expected = m * np.float32(0.9) + g
    assert same_bits(moment, expected)
    assert same_bits(new, w - (expected.astype(np.float64) * 0.013).astype(np.float32))
