from __future__ import annotations

from ssft.compiler.analysis.phases import ancestors, forward_operations, used_values

from .steps import LOSS, argument, elementwise, parse, total

X = argument("x", "4x6xf32")
NEGATE = "%r = arith.negf %a : f32"


def test_ancestors_follow_operands(parse_step):
    body = elementwise("p", {"%x": "4x6xf32"}, NEGATE)
    body += elementwise("q", {"%p": "4x6xf32"}, NEGATE)
    body += elementwise("other", {"%x": "4x6xf32"}, NEGATE)
    step = parse_step(X, body)
    assert step.names(ancestors([step["q"].results[0]])) == {"p", "q"}
    assert ancestors([step.op.regions[0].blocks[0].arguments[0]]) == set()
    assert ancestors([]) == set()


def test_values_captured_by_a_region_are_used(parse_step):
    body = '%rate = arith.constant {test = "rate"} 2.0 : f32'
    body += elementwise("p", {"%x": "4x6xf32"}, "%r = arith.mulf %a, %rate : f32")
    step = parse_step(X, body)
    assert step["rate"].results[0] in used_values(step["p"])
    assert step.names(ancestors([step["p"].results[0]])) == {"rate", "p"}


def test_what_a_region_defines_is_not_used_from_outside(parse_step):
    body = elementwise(
        "p", {"%x": "4x6xf32"}, "%k = arith.constant 2.0 : f32\n %r = arith.mulf %a, %k : f32"
    )
    step = parse_step(X, body)
    assert used_values(step["p"]) == list(step["p"].operands)


def test_nested_regions_are_looked_into(parse_step):
    body = """
        %rate = arith.constant {test = "rate"} 2.0 : f32
        %lo = arith.constant 0 : index
        %hi = arith.constant 3 : index
        %one = arith.constant 1 : index
        %s = scf.for %i = %lo to %hi step %one iter_args(%u = %zero) -> f32 {
          %t = scf.for %j = %lo to %hi step %one iter_args(%v = %u) -> f32 {
            %n = arith.addf %v, %rate : f32
            scf.yield %n : f32
          }
          scf.yield %t : f32
        } {test = "s"}"""
    step = parse_step(X, body)
    inside = [value for value in used_values(step["s"]) if value == step["rate"].results[0]]
    assert len(inside) == 1
    assert step["rate"] in ancestors([step["s"].results[0]])


def test_the_forward_pass_ends_with_the_loss(parse_step):
    body = elementwise("p", {"%x": "4x6xf32"}, NEGATE)
    body += elementwise("early", {"%p": "4x6xf32"}, NEGATE)
    body += total("loss", "%p")
    body += elementwise("late", {"%p": "4x6xf32"}, NEGATE)
    step = parse_step(X, body, LOSS, "%loss : tensor<f32>")
    assert step.names(forward_operations(step.op)) == {"p", "early", "loss"}


def test_metrics_belong_to_the_forward_pass(parse_step):
    body = total("loss", "%x") + total("accuracy", "%x")
    body += elementwise("late", {"%x": "4x6xf32"}, NEGATE)
    metric = 'tensor<f32> {ssft.role = "metric"}'
    step = parse_step(X, body, f"{LOSS}, {metric}", "%loss, %accuracy : tensor<f32>, tensor<f32>")
    assert step.names(forward_operations(step.op)) == {"loss", "accuracy"}


def test_a_step_without_loss_has_no_forward_pass():
    step = parse(X, elementwise("p", {"%x": "4x6xf32"}, NEGATE))
    assert forward_operations(step.op) == set()
