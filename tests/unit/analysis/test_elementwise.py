from __future__ import annotations

import pytest

from ssft.compiler.analysis.elementwise import full_reduction, is_elementwise, zero_in_zero_out

from .steps import argument, elementwise, matmul, total

A = {"%x": "4x6xf32"}
AB = {"%x": "4x6xf32", "%y": "4x6xf32"}
ARGUMENTS = ", ".join(
    [
        argument("x", "4x6xf32"),
        argument("y", "4x6xf32"),
        argument("bias", "6xf32"),
        argument("scale", "f32"),
    ]
)


@pytest.fixture
def made(parse_step):
    """Makes an element-wise operation."""
    return lambda *args, **kwargs: parse_step(ARGUMENTS, elementwise("made", *args, **kwargs))[
        "made"
    ]


def test_one_operation_on_all_elements(made):
    op = made(A, "%r = math.exp %a : f32")
    assert is_elementwise(op)


def test_operands_may_be_broadcast_or_transposed(made):
    inputs = {"%x": "4x6xf32", "%bias": "6xf32", "%scale": "f32"}
    op = made(
        inputs,
        "%p = arith.addf %a, %b : f32\n %r = arith.mulf %p, %c : f32",
        maps="#id, #column, #scalar, #id",
    )
    assert is_elementwise(op)


@pytest.mark.parametrize(
    "body",
    [
        "%i = linalg.index 0 : index\n %n = arith.index_cast %i : index to i64\n"
        "%f = arith.sitofp %n : i64 to f32\n %r = arith.addf %a, %f : f32",
        "%k = arith.constant 0 : index\n %f = tensor.extract %bias[%k] : tensor<6xf32>\n"
        "%r = arith.addf %a, %f : f32",
    ],
)
def test_a_body_that_asks_where_it_is(made, body):
    op = made(A, body)
    assert not is_elementwise(op)


def test_a_permuted_result_map(made):
    op = made(A, "%r = math.exp %a : f32", type_="6x4xf32", maps="#id, #turned")
    assert not is_elementwise(op)


def test_reductions_and_products_are_not_elementwise(parse_step):
    step = parse_step(ARGUMENTS, total("t", "%x"))
    assert not is_elementwise(step["t"])
    arguments = f"{argument('left', '4x5xf32')}, {argument('right', '5x6xf32')}"
    step = parse_step(arguments, matmul("product", "%left", "%right", (4, 6, 5)))
    assert not is_elementwise(step["product"])
    assert not is_elementwise(None)


def test_full_reduction(parse_step):
    step = parse_step(ARGUMENTS, total("t", "%x"))
    assert full_reduction(step["t"])
    step = parse_step(
        ARGUMENTS,
        total("t", "%x", body="%q = arith.mulf %a, %a : f32\n %s = arith.addf %q, %acc : f32"),
    )
    assert full_reduction(step["t"])
    assert not full_reduction(None)


def test_reductions_that_are_no_sum_of_everything(parse_step):
    step = parse_step(ARGUMENTS, total("t", "%x", body="%s = arith.maximumf %acc, %a : f32"))
    assert not full_reduction(step["t"])
    rows = """
        %e = tensor.empty() : tensor<4xf32>
        %t = linalg.generic {test = "t", indexing_maps = [#id, #row],
            iterator_types = ["parallel", "reduction"]}
            ins(%x : tensor<4x6xf32>) outs(%e : tensor<4xf32>) {
        ^bb0(%a: f32, %acc: f32):
          %s = arith.addf %acc, %a : f32
          linalg.yield %s : f32
        } -> tensor<4xf32>"""
    assert not full_reduction(parse_step(ARGUMENTS, rows)["t"])


ONE = "%one = arith.constant 1.0 : f32\n"
TWO = "%two = arith.constant 2.0 : f32\n"
ZERO_TO_ZERO = {
    "abs": "%r = math.absf %a : f32",
    "square": "%r = arith.mulf %a, %a : f32",
    "times anything": f"{TWO} %r = arith.mulf %two, %a : f32",
    "power": f"{TWO} %r = math.powf %a, %two : f32",
    "integer power": "%k = arith.constant 2 : i64\n %r = math.fpowi %a, %k : f32, i64",
    "divided": f"{TWO} %r = arith.divf %a, %two : f32",
    "difference": "%p = arith.negf %a : f32\n %r = arith.subf %a, %p : f32",
    "widened": "%w = arith.extf %a : f32 to f64\n %r = arith.truncf %w : f64 to f32",
    "largest": "%p = math.absf %a : f32\n %r = arith.maximumf %a, %p : f32",
}
ZERO_TO_SOMETHING = {
    "exp": "%r = math.exp %a : f32",
    "plus one": f"{ONE} %r = arith.addf %a, %one : f32",
    "constant": "%r = arith.constant 1.0 : f32",
    "power zero": "%k = arith.constant 0.0 : f32\n %r = math.powf %a, %k : f32",
    "power minus one": "%k = arith.constant -1.0 : f32\n %r = math.powf %a, %k : f32",
    "unknown power": "%r = math.powf %a, %a : f32",
    "reciprocal": f"{ONE} %r = arith.divf %one, %a : f32",
    "zero by zero": "%r = arith.divf %a, %a : f32",
    "largest with one": f"{ONE} %r = arith.maximumf %a, %one : f32",
    "cosine": "%r = math.cos %a : f32",
}


@pytest.mark.parametrize("name", ZERO_TO_ZERO)
def test_zero_stays_zero(made, name):
    op = made(A, ZERO_TO_ZERO[name])
    assert zero_in_zero_out(op, [0])


@pytest.mark.parametrize("name", ZERO_TO_SOMETHING)
def test_zero_becomes_something(made, name):
    op = made(A, ZERO_TO_SOMETHING[name])
    assert not zero_in_zero_out(op, [0])


def test_only_the_named_operands_are_zero(made):
    op = made(AB, "%r = arith.addf %a, %b : f32")
    assert zero_in_zero_out(op, [0, 1])
    assert not zero_in_zero_out(op, [0])
    op = made(AB, "%r = arith.mulf %a, %b : f32")
    assert zero_in_zero_out(op, [0])
    assert zero_in_zero_out(op, [1])
    assert not zero_in_zero_out(op, [])


def test_a_sum_of_zeros_adds_nothing(parse_step):
    square = "%q = arith.mulf %a, %a : f32\n %s = arith.addf %acc, %q : f32"
    assert zero_in_zero_out(parse_step(ARGUMENTS, total("t", "%x", body=square))["t"], [0])
    plus_one = f"{ONE} %q = arith.addf %a, %one : f32\n %s = arith.addf %acc, %q : f32"
    step = parse_step(ARGUMENTS, total("t", "%x", body=plus_one))
    assert not zero_in_zero_out(step["t"], [0])


def test_what_an_elementwise_operation_overwrites_is_no_accumulator(parse_step):
    step = parse_step(
        ARGUMENTS,
        elementwise("made", A, "%r = arith.addf %o, %a : f32", out="%y"),
    )
    assert not zero_in_zero_out(step["made"], [0])
