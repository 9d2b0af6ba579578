"""Costs of a linear layer, counted by hand: 2Nmn forward, 2Nmn input and 2Nmk weight gradient."""

from __future__ import annotations

import pytest

from ssft.compiler.analysis.cost import (
    contractions_behind,
    flops,
    gradients,
    memory_bytes,
    weight_gradient_operations,
)

from .steps import LOSS, argument, elementwise, matmul, total, update, updates

N, IN, OUT, K = 3, 6, 4, 2  # tokens, channels in and out, trained channels
ARGUMENTS = ", ".join(
    [
        argument("w", f"{OUT}x{IN}xf32", "trainable"),
        argument("m", f"{OUT}x{K}xf32", "state", "momentum_buffer"),
        argument("x", f"{N}x{IN}xf32"),
        argument("frozen", f"{IN}x{IN}xf32", "frozen"),
        argument("lr", "f64", "hyper"),
    ]
)
FORWARD = (
    matmul("h", "%x", "%frozen", (N, IN, IN))
    + matmul("y", "%h", "%w", (N, OUT, IN), rhs="#rhs_t")
    + total("loss", "%y", f"{N}x{OUT}xf32")
)
# The gradient of the sum is one everywhere; the input gradient goes on to the first layer.
BACKWARD = f"""
    %dy = arith.constant dense<1.0> : tensor<{N}x{OUT}xf32>
    {matmul("dh", "%dy", "%w", (N, IN, OUT))}
    %columns = tensor.extract_slice %h[0, 1] [{N}, {K}] [1, 1]
        : tensor<{N}x{IN}xf32> to tensor<{N}x{K}xf32>
    %g = "ssft.weight_grad"(%dy, %columns) {{test = "g"}}
        : (tensor<{N}x{OUT}xf32>, tensor<{N}x{K}xf32>) -> tensor<{OUT}x{K}xf32>
    %part = tensor.extract_slice %w[0, 1] [{OUT}, {K}] [1, 1]
        : tensor<{OUT}x{IN}xf32> to tensor<{OUT}x{K}xf32>
    {update("new", "%part", "%g", f"{OUT}x{K}xf32", state="%m")}
    %put = tensor.insert_slice %new#0 into %w[0, 1] [{OUT}, {K}] [1, 1]
        : tensor<{OUT}x{K}xf32> into tensor<{OUT}x{IN}xf32>"""


@pytest.fixture
def layer(parse_step):
    results = ", ".join(
        [
            LOSS,
            updates(0, f"{OUT}x{IN}xf32"),
            updates(1, f"{OUT}x{K}xf32"),
            f'tensor<{N}x{IN}xf32> {{ssft.role = "gradient", ssft.name = "x"}}',
        ]
    )
    types = f"tensor<f32>, tensor<{OUT}x{IN}xf32>, tensor<{OUT}x{K}xf32>, tensor<{N}x{IN}xf32>"
    return parse_step(ARGUMENTS, FORWARD + BACKWARD, results, f"%loss, %put, %new#1, %dh : {types}")


def test_flops(layer):
    assert flops(layer.op) == {
        "forward": 2 * N * OUT * IN + 2 * N * IN * IN,
        "input_gradient": 2 * N * OUT * IN,
        "weight_gradient": 2 * N * OUT * K,
        "update": 2 * OUT * K,
        "recomputation": 0,
    }


def test_memory(layer):
    assert memory_bytes(layer.op) == {
        "weights": 4 * (OUT * IN + IN * IN),
        "gradients": 4 * OUT * K,
        "optimizer_state": 4 * OUT * K,
        "saved_activations": 4 * N * IN,  # all of h: the slice is a view
        # Weights, state and inputs (the learning rate is f64); when the weight gradient is made, h
        # is alive for it, and the loss and the input gradient are because they are returned.
        "peak": 4 * (OUT * IN + IN * IN + OUT * K + N * IN)
        + 8
        + 4 * (OUT * K + N * IN + 1 + N * IN),
    }


def test_weight_gradients(layer):
    assert weight_gradient_operations(layer.op) == {layer["g"]}
    assert gradients(layer["new"]) == [layer["g"].results[0]]


def test_views_slices_and_sums_are_looked_through(parse_step):
    body = matmul("p", "%x", "%y", (4, 6, 5)) + matmul("q", "%x", "%y", (4, 6, 5))
    body += elementwise("sum", {"%p": "4x6xf32", "%q": "4x6xf32"}, "%r = arith.addf %a, %b : f32")
    body += """
        %flat = tensor.collapse_shape %sum [[0, 1]] : tensor<4x6xf32> into tensor<24xf32>
        %g = tensor.extract_slice %flat[2] [8] [1] {test = "g"} : tensor<24xf32> to tensor<8xf32>"""
    step = parse_step(f"{argument('x', '4x5xf32')}, {argument('y', '5x6xf32')}", body)
    found = contractions_behind([step["g"].results[0]])
    assert step.names(found) == {"p", "q"}


def test_a_product_behind_a_scalar_is_no_gradient(parse_step):
    """A clipping coefficient is computed from other gradients, but they are not this one."""
    body = matmul("p", "%x", "%y", (4, 6, 5)) + total("norm", "%p")
    body += elementwise(
        "g",
        {"%u": "4x6xf32", "%norm": "f32"},
        "%r = arith.mulf %a, %b : f32",
        maps="#id, #scalar, #id",
    )
    types = {"x": "4x5xf32", "y": "5x6xf32", "u": "4x6xf32"}
    arguments = ", ".join(argument(name, type_) for name, type_ in types.items())
    step = parse_step(arguments, body)
    assert contractions_behind([step["g"].results[0]]) == set()
