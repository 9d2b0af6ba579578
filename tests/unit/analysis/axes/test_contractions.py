"""Chains of contractions and element-wise operations: which weights share which axis."""

from __future__ import annotations

MLP = """
  %e = tensor.empty() : tensor<4x6xf32>
  %z = arith.constant 0.0 : f32
  %f = linalg.fill ins(%z : f32) outs(%e : tensor<4x6xf32>) -> tensor<4x6xf32>
  %h = linalg.matmul ins(%x, %a : tensor<4x3xf32>, tensor<3x6xf32>)
                     outs(%f : tensor<4x6xf32>) -> tensor<4x6xf32>
  %r = linalg.generic {indexing_maps = [#id, #col, #id], iterator_types = ["parallel", "parallel"]}
      ins(%h, %b : tensor<4x6xf32>, tensor<6xf32>) outs(%e : tensor<4x6xf32>) {
    ^bb0(%p: f32, %q: f32, %o: f32):
      %s = arith.addf %p, %q : f32
      linalg.yield %s : f32
  } -> tensor<4x6xf32>
  %e2 = tensor.empty() : tensor<4x5xf32>
  %f2 = linalg.fill ins(%z : f32) outs(%e2 : tensor<4x5xf32>) -> tensor<4x5xf32>
  %y = linalg.matmul ins(%r, %c : tensor<4x6xf32>, tensor<6x5xf32>)
                     outs(%f2 : tensor<4x5xf32>) -> tensor<4x5xf32>
"""
ARGUMENTS = [
    ("x", "4x3xf32", "input"),
    ("a", "3x6xf32"),
    ("b", "6xf32", "frozen"),
    ("c", "6x5xf32"),
]


def test_the_hidden_axis_of_a_perceptron_is_free(analyze):
    analysis = analyze(ARGUMENTS, MLP, "y", "4x5xf32", role="metric")
    (axis,) = analysis.free_axes
    assert [member.text for member in axis.members] == ["a.1", "b.0", "c.0"]
    assert axis.size == 6
    assert axis.notes == ("reassociates a sum (x1)",)
    assert axis.arguments() == [1, 2, 3]


def test_what_the_caller_sees_is_pinned_with_reason_and_place(analyze):
    analysis = analyze(ARGUMENTS, MLP, "y", "4x5xf32", role="metric")
    (given,) = {axis for _, axis in analysis.dimension(1, 0).axes()}
    (pin,) = given.pins
    assert (pin.reason, pin.count) == ("visible outside the step (input)", 1)
    assert pin.location == "argument x"
    (seen,) = {axis for _, axis in analysis.dimension(3, 1).axes()}
    assert [pin.reason for pin in seen.pins] == ["visible outside the step (metric)"]


def test_a_named_transpose_has_maps_too(free):
    body = """
      %e = tensor.empty() : tensor<3x2xf32>
      %y = linalg.transpose ins(%a : tensor<2x3xf32>) outs(%e : tensor<3x2xf32>) permutation = [1, 0]
    """  # noqa: E501
    arguments = [("a", "2x3xf32"), ("b", "3x2xf32")]
    assert free(arguments, body, "y", "3x2xf32", role="") == [["b.0"], ["b.1"]]


def test_a_new_state_keeps_the_layout_of_the_old_one(context):
    from ssft.compiler.analysis.axes import analyze_axes
    from ssft.compiler.analysis.step import find_step
    from ssft.dialects._mlir import ir

    text = """
      func.func @step(%a: tensor<2x3xf32> {ssft.role = "state", ssft.name = "w", ssft.state = "m"},
                      %b: tensor<2x3xf32> {ssft.role = "trainable", ssft.name = "w"})
          -> (tensor<2x3xf32> {ssft.updates_arg = 0 : i64}) {
        return %b : tensor<2x3xf32>
      }"""
    with context, ir.Location.unknown():
        module = ir.Module.parse(text)
    axes = analyze_axes(find_step(module.operation)).free_axes
    assert [[m.text for m in axis.members] for axis in axes] == [["w/m.0", "w.0"], ["w/m.1", "w.1"]]


REDUCTION = """
  %z = arith.constant dense<0.0> : tensor<2xf32>
  %y = linalg.generic {{indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}}
      ins(%a : tensor<2x3xf32>) outs(%z : tensor<2xf32>) {{
    ^bb0(%p: f32, %o: f32):
      {fold}
      linalg.yield %s : f32
  }} -> tensor<2xf32>
"""


def test_a_sum_may_be_reordered_and_says_so(analyze):
    body = REDUCTION.format(fold="%s = arith.addf %o, %p : f32")
    analysis = analyze([("a", "2x3xf32")], body, "y", "2xf32")
    (axis,) = analysis.free_axes
    assert axis.size == 3
    assert axis.notes == ("reassociates a sum (x1)",)


def test_a_fold_in_order_pins(analyze):
    body = REDUCTION.format(fold="%s = arith.divf %o, %p : f32")
    analysis = analyze([("a", "2x3xf32")], body, "y", "2xf32")
    assert not analysis.free_axes
    reasons = [pin.reason for pin in analysis.axes[1].pins]
    assert reasons == ["reduced in an order that matters"]


def test_a_broadcast_shared_by_unrelated_weights_does_not_couple_them(free):
    body = """
      %e = tensor.empty() : tensor<2x3xf32>
      %m = linalg.generic {indexing_maps = [#row, #id], iterator_types = ["parallel", "parallel"]}
          ins(%s : tensor<2xf32>) outs(%e : tensor<2x3xf32>) {
        ^bb0(%p: f32, %o: f32):
          linalg.yield %p : f32
      } -> tensor<2x3xf32>
      %u = arith.addf %m, %a : tensor<2x3xf32>
      %v = arith.addf %m, %b : tensor<2x3xf32>
      %y = tensor.empty() : tensor<f32>
    """
    arguments = [("s", "2xf32"), ("a", "2x3xf32"), ("b", "2x3xf32")]
    assert free(arguments, body, "y", "f32") == [["s.0", "a.0", "b.0"], ["a.1"], ["b.1"]]


def test_constants_that_are_alike_everywhere_couple_nothing(free):
    body = """
      %c = arith.constant dense<2.0> : tensor<2x3xf32>
      %u = arith.addf %c, %a : tensor<2x3xf32>
      %v = arith.addf %c, %b : tensor<2x3xf32>
      %y = tensor.empty() : tensor<f32>
    """
    arguments = [("a", "2x3xf32"), ("b", "2x3xf32")]
    assert free(arguments, body, "y", "f32") == [["a.0"], ["a.1"], ["b.0"], ["b.1"]]


def test_constant_data_pins(analyze):
    body = """
      %c = arith.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf32>
      %u = arith.addf %c, %a : tensor<3xf32>
      %y = tensor.empty() : tensor<f32>
    """
    (axis,) = analyze([("a", "3xf32")], body, "y", "f32").axes
    assert [pin.reason for pin in axis.pins] == ["constant data"]


def test_values_inside_the_step_have_dimensions_while_the_module_lives(parse):
    from ssft.compiler.analysis.axes import analyze_axes
    from ssft.compiler.analysis.step import find_step, operations

    module = parse(ARGUMENTS, MLP, "y", "4x5xf32", role="metric")
    step = find_step(module.operation)
    analysis = analyze_axes(step)
    hidden = next(op for op in operations(step) if op.name == "linalg.matmul").results[0]
    assert analysis.dimension_of(hidden, 1) == analysis.dimension(1, 1)
    tokens = analysis.dimension_of(hidden, 0)
    assert [axis.is_free for _, axis in tokens.axes()] == [False]
