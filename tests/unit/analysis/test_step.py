"""Finding the step and editing its signature."""

from __future__ import annotations

import pytest

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.diagnostics import UserError
from ssft.dialects import new_context
from ssft.dialects._mlir import ir

from .steps import LOSS, argument, total


def module_of(text: str) -> ir.Module:
    with new_context(), ir.Location.unknown():
        return ir.Module.parse(text)


def test_find_step_among_other_functions():
    module = module_of("func.func @f() { return }\n func.func @step() { return }")
    found = step_ir.find_step(module.operation)
    assert ir.StringAttr(found.attributes["sym_name"]).value == "step"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("func.func @f() { return }", "the module has no function '@step'"),
        ("func.func private @step()", "function '@step' has 0 blocks"),
        ("func.func @step() { cf.br ^a\n ^a: return }", "function '@step' has 2 blocks"),
    ],
)
def test_modules_that_are_no_plan(text, message):
    module = module_of(text)
    with pytest.raises(UserError) as caught:
        step_ir.find_step(module.operation)
    assert caught.value.message.startswith(message)
    assert caught.value.notes


def test_reading_attributes(parse_step):
    step = parse_step(argument("x", "4x6xf32"), total("loss", "%x"), LOSS, "%loss : tensor<f32>")
    (entry,) = step_ir.argument_attributes(step.op)
    assert step_ir.text(entry, "ssft.name") == "x"
    assert step_ir.text(entry, "ssft.state") is None
    (result,) = step_ir.result_attributes(step.op)
    assert step_ir.text(result, "ssft.role") == "loss"
    assert step_ir.updated_argument(result) is None
    assert [op.name for op in step_ir.operations(step.op)][-1] == "func.return"


def test_functions_without_attributes():
    module = module_of(
        "func.func @step(%x: tensor<4xf32>) -> tensor<4xf32> { return %x : tensor<4xf32> }"
    )
    step = step_ir.find_step(module.operation)
    assert step_ir.argument_attributes(step) == [{}]
    assert step_ir.result_attributes(step) == [{}]


def test_the_signature_follows_the_block(parse_step):
    step = parse_step(argument("x", "4x6xf32"), total("loss", "%x"), LOSS, "%loss : tensor<f32>")
    body = step_ir.body(step.op)
    terminator = step_ir.terminator(step.op)
    with step.context, ir.Location.unknown(), ir.InsertionPoint(terminator):
        added = body.add_argument(ir.RankedTensorType.get([2], ir.F64Type.get()), step.op.location)
        ir.Operation.create("func.return", operands=[added, terminator.operands[0]])
        terminator.erase()
        role = {"ssft.role": ir.StringAttr.get("metric")}
        step_ir.set_signature(step.op, [{}, role], [role, {"ssft.updates_arg": step_ir.i64(1)}])
    assert step.module.operation.verify()
    text = str(step.op.attributes["function_type"])
    assert text == "(tensor<4x6xf32>, tensor<2xf64>) -> (tensor<2xf64>, tensor<f32>)"
    assert step_ir.updated_argument(step_ir.result_attributes(step.op)[1]) == 1
    assert step_ir.text(step_ir.argument_attributes(step.op)[1], "ssft.role") == "metric"


def test_shapes_and_owners(parse_step):
    step = parse_step(argument("x", "4x6xf32"), total("loss", "%x"))
    x = step_ir.body(step.op).arguments[0]
    assert step_ir.shape_of(x) == [4, 6]
    assert step_ir.owner(x) is None
    assert step_ir.owner(step["loss"].results[0]) == step["loss"]
    constant = next(step_ir.operations(step.op))
    assert step_ir.shape_of(constant.results[0]) is None
