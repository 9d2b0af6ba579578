from __future__ import annotations

import pytest

from ssft.compiler.analysis.contractions import Contraction, as_contraction, indexing_maps

from .steps import argument, elementwise, matmul


def generic(body: str, maps: str = "#lhs, #rhs, #out", left: str = "f32", right: str = "") -> str:
    right = right or left
    return f"""
        %e = tensor.empty() : tensor<4x6xf32>
        %found = linalg.generic {{test = "found", indexing_maps = [{maps}],
            iterator_types = ["parallel", "parallel", "reduction"]}}
            ins(%left, %right : tensor<4x5x{left}>, tensor<5x6x{right}>)
            outs(%e : tensor<4x6xf32>) {{
        ^bb0(%p: {left}, %q: {right}, %acc: f32):
          {body}
          linalg.yield %s : f32
        }} -> tensor<4x6xf32>"""


ARGUMENTS = ", ".join([argument("left", "4x5xf32"), argument("right", "5x6xf32")])
PRODUCT = Contraction(lhs=(0, 2), rhs=(2, 1), out=(0, 1), sizes=(4, 6, 5))


def test_matmul(parse_step):
    step = parse_step(ARGUMENTS, matmul("found", "%left", "%right", (4, 6, 5)))
    found = as_contraction(step["found"])
    assert found == PRODUCT
    assert (found.batch, found.m, found.n, found.k) == ((), (0,), (1,), (2,))
    assert found.flops == 2 * 4 * 6 * 5


def test_transposed_operand(parse_step):
    step = parse_step(
        f"{argument('left', '4x5xf32')}, {argument('right', '6x5xf32')}",
        matmul("found", "%left", "%right", (4, 6, 5), rhs="#rhs_t"),
    )
    found = as_contraction(step["found"])
    assert found is not None and found.rhs == (1, 2)
    assert (found.m, found.n, found.k) == ((0,), (1,), (2,))


def test_batch_matmul(parse_step):
    step = parse_step(
        f"{argument('left', '2x4x5xf32')}, {argument('right', '2x5x6xf32')}, "
        f"{argument('start', '2x4x6xf32')}",
        """
        %found = linalg.batch_matmul {test = "found"}
            ins(%left, %right : tensor<2x4x5xf32>, tensor<2x5x6xf32>)
            outs(%start : tensor<2x4x6xf32>) -> tensor<2x4x6xf32>""",
    )
    found = as_contraction(step["found"])
    assert found is not None
    assert (found.batch, found.m, found.n, found.k) == ((0,), (1,), (2,), (3,))
    assert found.flops == 2 * 2 * 4 * 5 * 6


def test_weight_gradient_contracts_all_token_dimensions(parse_step):
    step = parse_step(
        f"{argument('g', '2x3x4xf32')}, {argument('x', '2x3x6xf32')}",
        """
        %found = "ssft.weight_grad"(%g, %x) {test = "found"}
            : (tensor<2x3x4xf32>, tensor<2x3x6xf32>) -> tensor<4x6xf32>""",
    )
    found = as_contraction(step["found"])
    assert found is not None
    assert (found.m, found.n, found.k) == ((0,), (1,), (2, 3))
    assert found.flops == 2 * 2 * 3 * 4 * 6


@pytest.mark.parametrize(
    "body",
    [
        "%m = arith.mulf %p, %q : f32\n %s = arith.addf %acc, %m : f32",
        "%m = arith.mulf %q, %p : f32\n %s = arith.addf %m, %acc : f32",
    ],
)
def test_generic_that_multiplies_and_adds(parse_step, body):
    assert as_contraction(parse_step(ARGUMENTS, generic(body))["found"]) == PRODUCT


WIDENED = """
    %x = arith.extf %p : bf16 to f32
    %y = arith.extf %q : {right} to f32
    %m = arith.mulf {factors} : f32
    %s = arith.addf %acc, %m : f32"""


@pytest.mark.parametrize("factors", ["%x, %y", "%y, %x"])
def test_factors_may_be_widened(parse_step, factors):
    arguments = ", ".join([argument("left", "4x5xbf16"), argument("right", "5x6xbf16")])
    body = generic(WIDENED.format(right="bf16", factors=factors), left="bf16")
    assert as_contraction(parse_step(arguments, body)["found"]) == PRODUCT


@pytest.mark.parametrize(("right", "factors"), [("bf16", "%x, %x"), ("f16", "%x, %y")])
def test_widened_factors_that_are_something_else(parse_step, right, factors):
    """A square; and operands of two types, which no product of ours takes."""
    arguments = ", ".join([argument("left", "4x5xbf16"), argument("right", f"5x6x{right}")])
    body = generic(WIDENED.format(right=right, factors=factors), left="bf16", right=right)
    assert as_contraction(parse_step(arguments, body)["found"]) is None


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("%m = arith.mulf %p, %p : f32\n %s = arith.addf %acc, %m : f32", id="square"),
        pytest.param("%m = arith.addf %p, %q : f32\n %s = arith.mulf %acc, %m : f32", id="swapped"),
        pytest.param("%m = arith.mulf %p, %q : f32\n %s = arith.subf %acc, %m : f32", id="minus"),
        pytest.param("%m = arith.mulf %p, %q : f32\n %s = arith.addf %m, %m : f32", id="no sum"),
        pytest.param("%m = arith.maximumf %p, %q : f32\n %s = arith.addf %acc, %m : f32", id="max"),
    ],
)
def test_generics_that_are_something_else(parse_step, body):
    assert as_contraction(parse_step(ARGUMENTS, generic(body))["found"]) is None


def test_an_outer_product_contracts_nothing(parse_step):
    step = parse_step(
        f"{argument('left', '4x6xf32')}, {argument('right', '4x6xf32')}",
        elementwise(
            "found",
            {"%left": "4x6xf32", "%right": "4x6xf32"},
            "%m = arith.mulf %a, %b : f32\n %r = arith.addf %o, %m : f32",
        ),
    )
    assert as_contraction(step["found"]) is None


def test_what_has_no_maps_is_no_contraction(parse_step):
    step = parse_step(
        argument("left", "4x6xf32"), '%found = math.exp %left {test = "found"} : tensor<4x6xf32>'
    )
    assert indexing_maps(step["found"]) is None
    assert as_contraction(step["found"]) is None
    assert as_contraction(None) is None


@pytest.mark.parametrize(
    "map_", ["affine_map<(i, j) -> (i + j, j)>", "affine_map<(i, j) -> (0, j)>"]
)
def test_maps_that_are_no_projected_permutations(parse_step, map_):
    step = parse_step(
        argument("left", "9x6xf32"),
        elementwise("found", {"%left": "9x6xf32"}, "%r = arith.negf %a : f32", maps=f"{map_}, #id"),
    )
    assert indexing_maps(step["found"]) is None
