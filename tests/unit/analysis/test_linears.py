from __future__ import annotations

from ssft.compiler.analysis.linears import INPUT, OUTPUT, dimension_uses
from ssft.compiler.analysis.phases import forward_operations

from .steps import LOSS, Step, argument, elementwise, matmul, total

NONE, IN, OUT = frozenset(), frozenset([INPUT]), frozenset([OUTPUT])
BODY = "%r = arith.negf %a : f32"


def uses(step: Step, number: int = 0):
    return dimension_uses(step.op, number, forward_operations(step.op))


def layer(parse_step, weight: str, before: str = "", rhs: str = "#rhs", name: str = "%w") -> Step:
    """A step whose loss is the sum of a product with `name`, made by `before` from the weight."""
    body = before + matmul("y", "%x", name, (4, 6, 5), rhs) + total("loss", "%y")
    arguments = f"{argument('w', weight, 'trainable')}, {argument('x', '4x5xf32')}"
    return parse_step(arguments, body, LOSS, "%loss : tensor<f32>")


def test_a_weight_as_torch_stores_it(parse_step):
    assert uses(layer(parse_step, "6x5xf32", rhs="#rhs_t")) == (OUT, IN)


def test_a_weight_stored_the_other_way_round(parse_step):
    assert uses(layer(parse_step, "5x6xf32")) == (IN, OUT)


def test_a_transpose_and_elementwise_operations_are_looked_through(parse_step):
    before = elementwise("c", {"%w": "6x5xf32"}, BODY, "6x5xf32")
    before += """
        %te = tensor.empty() : tensor<5x6xf32>
        %t = linalg.transpose ins(%c : tensor<6x5xf32>) outs(%te : tensor<5x6xf32>)
            permutation = [1, 0]"""
    assert uses(layer(parse_step, "6x5xf32", before, name="%t")) == (OUT, IN)


def test_both_uses_of_a_tied_weight(parse_step):
    body = matmul("h", "%x", "%w", (4, 5, 5)) + matmul("y", "%h", "%w", (4, 5, 5), "#rhs_t")
    body += total("loss", "%y", "4x5xf32")
    arguments = f"{argument('w', '5x5xf32', 'trainable')}, {argument('x', '4x5xf32')}"
    step = parse_step(arguments, body, LOSS, "%loss : tensor<f32>")
    assert uses(step) == (IN | OUT, IN | OUT)


def test_the_first_operand_of_a_product(parse_step):
    assert uses(layer(parse_step, "5x6xf32"), number=1) == (OUT, IN)


def test_only_the_forward_pass_counts(parse_step):
    body = total("loss", "%x", "4x5xf32") + matmul("later", "%x", "%w", (4, 6, 5))
    arguments = f"{argument('w', '5x6xf32', 'trainable')}, {argument('x', '4x5xf32')}"
    gradient = 'tensor<4x6xf32> {ssft.role = "gradient", ssft.name = "w"}'
    returned = "%loss, %later : tensor<f32>, tensor<4x6xf32>"
    step = parse_step(arguments, body, f"{LOSS}, {gradient}", returned)
    assert uses(step) == (NONE, NONE)


def test_a_bias_is_no_matrix(parse_step):
    body = elementwise(
        "y",
        {"%x": "4x5xf32", "%w": "5xf32"},
        "%r = arith.addf %a, %b : f32",
        "4x5xf32",
        maps="#id, #column, #id",
    )
    arguments = f"{argument('w', '5xf32', 'trainable')}, {argument('x', '4x5xf32')}"
    step = parse_step(arguments, body + total("loss", "%y", "4x5xf32"), LOSS, "%loss : tensor<f32>")
    assert uses(step) == (NONE,)
