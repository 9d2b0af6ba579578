"""What must be gone from the plan of a Llama with S2FT masks, and what the report must count."""

from __future__ import annotations

import pytest
from side_by_side import EXAMPLES

from ssft.compiler import Recipe, compile_file
from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.contractions import as_contraction
from ssft.compiler.analysis.cost import weight_gradient_operations
from ssft.compiler.analysis.phases import forward_operations

HIDDEN, HEADS, HEAD_SIZE, FEED_FORWARD, TOKENS, LAYERS = 64, 4, 16, 176, 64, 2


@pytest.fixture(scope="module")
def plan():
    return compile_file(EXAMPLES / "tiny_llama.py", Recipe("s2ft", ratio=0.25))


def _step(plan):
    return step_ir.find_step(plan.module.operation)


def test_weight_gradient_flops_are_exact(plan):
    columns = 1 * HEAD_SIZE + 44
    expected = LAYERS * 2 * TOKENS * HIDDEN * columns
    assert plan.report()["flops"]["weight_gradient"] == expected


def test_no_dense_weight_gradient_is_left(plan):
    shapes = {(HIDDEN, HIDDEN), (HIDDEN, FEED_FORWARD), (FEED_FORWARD, HIDDEN), (256, HIDDEN)}
    gradients = weight_gradient_operations(_step(plan))
    assert {op.name for op in gradients} == {"ssft.weight_grad"}
    assert not {tuple(step_ir.shape_of(op.results[0])) for op in gradients} & shapes


def test_no_input_gradient_below_the_lowest_trained_operation(plan):
    """The lowest trained matrix is the first layer's output projection.

    Of its layer's backward pass only what leads to its own output is left: the gradients of the
    feed-forward block's input (gate, up and down products). The second layer has those, and the
    output projection's, two of the attention products, and those of query, key and value.
    """
    step = _step(plan)
    forward = forward_operations(step)
    gradients = weight_gradient_operations(step)
    products = [
        op
        for op in step_ir.operations(step)
        if as_contraction(op) and op not in forward and op not in gradients
    ]
    head, feed_forward, attention = 1, 3, 1 + 4 + 3
    assert len(products) == head + LAYERS * feed_forward + attention


def test_forward_flops_are_those_of_the_dense_step(plan):
    report = plan.report()
    assert report["flops"]["forward"] == report["dense"]["flops"]["forward"]


def test_dense_weight_gradients_count_every_matrix(plan):
    linear = 4 * HIDDEN * HIDDEN + 3 * HIDDEN * FEED_FORWARD
    dense = plan.report()["dense"]["flops"]["weight_gradient"]
    assert dense == 2 * TOKENS * (LAYERS * linear + 256 * HIDDEN)
