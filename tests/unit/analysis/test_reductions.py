from __future__ import annotations

from ssft.compiler.analysis.axes import analyze_axes
from ssft.compiler.analysis.phases import forward_operations
from ssft.compiler.analysis.reductions import normalised_axes

from .steps import LOSS, argument, elementwise, matmul, total

SUM_OF_ROWS = """
    %se = tensor.empty() : tensor<4xf32>
    %rows = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
        ins(%h : tensor<4x6xf32>) outs(%se : tensor<4xf32>) {
    ^bb0(%a: f32, %acc: f32):
      %s = arith.addf %acc, %a : f32
      linalg.yield %s : f32
    } -> tensor<4xf32>"""
ARGUMENTS = ", ".join(
    [
        argument("x", "4x5xf32"),
        argument("up", "6x5xf32", "trainable"),
        argument("down", "3x6xf32", "trainable"),
    ]
)
UP = matmul("h", "%x", "%up", (4, 6, 5), "#rhs_t")


def step_with(parse_step, between: str, source: str):
    down = matmul("y", source, "%down", (4, 3, 6), "#rhs_t") + total("loss", "%y", "4x3xf32")
    return parse_step(ARGUMENTS, UP + between + down, LOSS, "%loss : tensor<f32>")


def axis_between_is_tied(step) -> bool:
    """Whether a norm ties the axis that `up` produces and `down` consumes.

    The loss is a sum, too, but over tokens and outputs.
    """
    axes = analyze_axes(step.op)
    tied = normalised_axes(axes, forward_operations(step.op))
    rows, columns = axes.dimension(1, 0), axes.dimension(2, 1)
    assert str(rows) == str(columns) == "6"
    return any(axis.id in tied for _, axis in columns.axes())


def test_a_norm_ties_the_axis_that_it_sums_over(parse_step):
    between = SUM_OF_ROWS + elementwise(
        "n",
        {"%h": "4x6xf32", "%rows": "4xf32"},
        "%r = arith.divf %a, %b : f32",
        maps="#id, #row, #id",
    )
    assert axis_between_is_tied(step_with(parse_step, between, "%n"))


def test_contractions_and_elementwise_operations_tie_nothing(parse_step):
    between = elementwise("n", {"%h": "4x6xf32"}, "%r = math.exp %a : f32")
    assert not axis_between_is_tied(step_with(parse_step, between, "%n"))


def test_sums_of_the_backward_pass_tie_nothing(parse_step):
    step = step_with(parse_step, "", "%h")
    axes = analyze_axes(step.op)
    assert normalised_axes(axes, []) == frozenset()
