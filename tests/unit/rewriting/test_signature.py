from __future__ import annotations

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.plan_schema import read_signature
from ssft.compiler.rewriting.signature import Argument, Result, rebuild
from ssft.dialects._mlir import ir

from .conftest import find_step

STEP = """
module attributes {ssft.method = "full"} {
  func.func @other() { return }
  func.func @step(
      %a: tensor<4xf64> {ssft.role = "trainable", ssft.name = "a"},
      %b: tensor<5xf64> {ssft.role = "frozen", ssft.name = "b"},
      %c: tensor<6xf64> {ssft.role = "trainable", ssft.name = "c"}
  ) -> (tensor<4xf64> {ssft.updates_arg = 0 : i64}, tensor<6xf64> {ssft.updates_arg = 2 : i64})
      attributes {test.kept} {
    %a2 = arith.negf %a : tensor<4xf64>
    %c2 = arith.negf %c : tensor<6xf64>
    return %a2, %c2 : tensor<4xf64>, tensor<6xf64>
  }
  func.func @last() { return }
}
"""


def test_arguments_and_results_in_a_new_order(parse):
    module = parse(STEP)
    step = find_step(module)
    a, _, c = step_ir.body(step).arguments
    attributes = step_ir.argument_attributes(step)
    first, second = step_ir.terminator(step).operands
    with module.context:
        rebuild(
            step,
            [Argument(c, attributes[2]), Argument(a, attributes[0])],
            [
                Result(second, {"ssft.updates_arg": step_ir.i64(7)}, updates=c),
                Result(first, {"ssft.role": ir.StringAttr.get("metric")}),
            ],
        )
    assert module.operation.verify()
    signature = read_signature(module)
    assert [argument.name for argument in signature.arguments] == ["c", "a"]
    assert [result.updates_arg for result in signature.results] == [0, None]
    assert signature.results[1].role == "metric"
    new = find_step(module)
    assert "test.kept" in new.attributes
    names = [op.operation.attributes["sym_name"].value for op in module.body.operations]
    assert names == ["other", "step", "last"]
    negations = [op for op in step_ir.operations(new) if op.name == "arith.negf"]
    operands = [ir.BlockArgument(op.operands[0]).arg_number for op in negations]
    assert operands == [1, 0]


def test_an_added_argument(parse):
    module = parse(STEP)
    step = find_step(module)
    with module.context, step.location:
        type_ = ir.RankedTensorType.get([2], ir.F64Type.get())
        added = step_ir.body(step).add_argument(type_, step.location)
        old = step_ir.body(step).arguments
        arguments = [
            Argument(value, attributes)
            for value, attributes in zip(old, step_ir.argument_attributes(step), strict=False)
        ]
        role = {"ssft.role": ir.StringAttr.get("hyper"), "ssft.name": ir.StringAttr.get("lr")}
        rebuild(
            step,
            [Argument(added, role), *arguments[:3]],
            [Result(value, {}, updates=None) for value in step_ir.terminator(step).operands],
        )
    assert module.operation.verify()
    types = [str(value.type) for value in step_ir.body(find_step(module)).arguments]
    assert types == ["tensor<2xf64>", "tensor<4xf64>", "tensor<5xf64>", "tensor<6xf64>"]
