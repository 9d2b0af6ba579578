"""Builders infer result types, and pure operations are treated as such by MLIR."""

from __future__ import annotations

import pytest

from ssft.dialects._mlir import PassManager, ir
from ssft.dialects.ssft import (
    GatherOp,
    SaveSliceOp,
    ScatterAddOp,
    ScatterOp,
    UpdateOp,
    WeightGradOp,
    YieldOp,
)

TEXT = """func.func @f(%w: tensor<8x6xf32>, %m: tensor<8x6xbf16>, %i: tensor<2xi64>,
                        %x: tensor<2x4x6xf32>, %lr: f32) { return }"""


@pytest.fixture
def function(context):
    """Arguments of a function, with an insertion point in it."""
    module = ir.Module.parse(TEXT)
    block = module.body.operations[0].regions[0].blocks[0]
    with ir.InsertionPoint.at_block_terminator(block):
        yield list(block.arguments)
    assert module.operation.verify()


def types(op: ir.OpView) -> list[str]:
    return [str(value.type) for value in op.operation.results]


def test_slices(function):
    w, _, i, _, _ = function
    columns = GatherOp.build(w, i, 1)
    assert types(columns) == ["tensor<8x2xf32>"]
    assert types(ScatterOp.build(w, i, columns.result, 1)) == ["tensor<8x6xf32>"]
    assert types(ScatterAddOp.build(w, i, columns.result, 1)) == ["tensor<8x6xf32>"]
    saved = SaveSliceOp.build(w, 0, 1, 3)
    assert types(saved) == ["tensor<3x6xf32>"]
    assert [saved.attributes[k].value for k in ("dim", "offset", "size")] == [0, 1, 3]


def test_weight_grad(function):
    x = function[3]
    assert types(WeightGradOp.build(x, x)) == ["tensor<6x6xf32>"]
    assert types(WeightGradOp.build(x, x, ir.F64Type.get())) == ["tensor<6x6xf64>"]


def test_update(function):
    w, m, _, _, lr = function

    def body(weight, state, gradient):
        step = ir.Operation.create("arith.mulf", [weight.type], [lr, gradient]).result
        return [ir.Operation.create("arith.subf", [weight.type], [weight, step]).result, state]

    op = UpdateOp.build(w, [m], [w], body)
    assert types(op) == ["tensor<8x6xf32>", "tensor<8x6xbf16>"]
    assert op.weight == w
    assert list(op.states) == [m]
    assert list(op.gradients) == [w]
    assert op.new_weight == op.operation.results[0]
    assert list(op.new_states) == [op.operation.results[1]]
    assert op.captured() == [lr]
    terminator = list(op.body.blocks[0].operations)[-1]
    assert isinstance(terminator, YieldOp)
    assert str(terminator.weight.type) == "f32"
    assert [str(state.type) for state in terminator.states] == ["bf16"]


def test_an_update_may_be_filled_later(function):
    w, _, _, _, _ = function
    op = UpdateOp.build(w, [], [w, w])
    block = op.body.blocks[0]
    assert [str(argument.type) for argument in block.arguments] == ["f32", "f32", "f32"]
    with ir.InsertionPoint(block):
        YieldOp.build([block.arguments[0]])


def test_accessors_do_not_need_segment_attributes_where_positions_tell(context):
    module = ir.Module.parse(
        """func.func @f(%w: tensor<4xf32>) {
          %r = "ssft.update"(%w, %w) ({
          ^bb0(%a: f32, %g: f32):
            "ssft.yield"(%a) : (f32) -> ()
          }) {operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
          return
        }"""  # noqa: E501 (an operation's type does not break)
    )
    op = module.body.operations[0].regions[0].blocks[0].operations[0]
    assert list(op.new_states) == []
    assert list(op.body.blocks[0].operations[0].states) == []


def test_mlir_merges_equal_operations_and_drops_dead_ones(context):
    gather = (
        '"ssft.gather"(%x, %i) {dim = 0 : i64} : (tensor<4xf32>, tensor<2xi64>) -> tensor<2xf32>'
    )
    module = ir.Module.parse(
        "func.func @f(%x: tensor<4xf32>, %i: tensor<2xi64>) -> (tensor<2xf32>, tensor<2xf32>) {"
        f"\n%a = {gather}\n%b = {gather}\nreturn %a, %b : tensor<2xf32>, tensor<2xf32>\n}}\n"
        "func.func @g(%x: tensor<4xf32>, %i: tensor<2xi64>) {"
        f"\n%a = {gather}\nreturn\n}}"
    )
    PassManager.parse("builtin.module(cse)").run(module.operation)
    counts = [str(function).count("ssft.gather") for function in module.body.operations]
    assert counts == [1, 0]
