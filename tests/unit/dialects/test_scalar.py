"""Each rule of the scalar interpreter against native code."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from ssft.dialects import scalar
from ssft.dialects._mlir import ir
from ssft.dialects.ssft import UpdateOp

FLOATS = np.array([0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 3.7, -3.7, 1e-3, 40.0, 0.3])
SPECIALS = np.array([np.nan, np.inf, -np.inf])
INTEGERS = np.array([0, 1, -1, 2, 3, -3, 7, 1000, -1000, 2**31 - 1, -(2**31)])

BINARY_FLOATS = [
    "addf", "subf", "mulf", "divf", "remf", "maximumf", "minimumf", "maxnumf", "minnumf",
]  # fmt: skip
BINARY_INTEGERS = [
    "addi",
    "subi",
    "muli",
    "andi",
    "ori",
    "xori",
    "maxsi",
    "minsi",
    "maxui",
    "minui",
]
DIVISIONS = ["divsi", "divui", "remsi", "remui"]
SHIFTS = ["shli", "shrsi", "shrui"]
UNARY_MATH = [
    "absf", "ceil", "cos", "erf", "exp", "exp2", "expm1", "floor", "round", "roundeven", "sin",
    "tanh", "trunc",
]  # fmt: skip
POSITIVE_MATH = ["log", "log10", "log1p", "log2", "rsqrt", "sqrt"]
BINARY_MATH = ["powf", "copysign", "atan2"]


def check(run_natively, body: str, operands: list[np.ndarray], element: str, **tolerances) -> None:
    """Compares `body`, which computes %r from %a (and %b), natively and by the interpreter.

    `body` and %r have the type `element`; its result is the new weight.
    """
    type_ = f"tensor<{operands[0].size}x{element}>"
    names = ["%w", "%g"][: len(operands)]
    gradients = names[1:] or ["%w"]
    arguments = ", ".join(f"{name}: {type_}" for name in names)
    operand_types = ", ".join([type_] * 2)
    module = ir.Module.parse(
        f"""func.func @f({arguments}) -> {type_} {{
          %n = "ssft.update"(%w, {gradients[0]}) ({{
          ^bb0(%a: {element}, %b: {element}):
            {body}
            "ssft.yield"(%r) : ({element}) -> ()
          }}) {{operandSegmentSizes = array<i32: 1, 0, 1>}} : ({operand_types}) -> {type_}
          return %n : {type_}
        }}"""
    )
    op = module.body.operations[0].regions[0].blocks[0].operations[0]
    assert isinstance(op, UpdateOp)
    arrays = operands if len(operands) == 2 else [operands[0]] * 2
    (expected,) = op.reference(*arrays)
    del op
    (actual,) = run_natively(module, operands, [np.zeros_like(operands[0])])
    if tolerances:
        np.testing.assert_allclose(actual, expected, **tolerances)
    else:
        np.testing.assert_array_equal(actual, expected)


def pairs(values: np.ndarray, dtype: type) -> list[np.ndarray]:
    """All pairs of `values`, as two arrays."""
    return [np.array(side, dtype) for side in zip(*itertools.product(values, values), strict=True)]


@pytest.mark.parametrize("name", BINARY_FLOATS)
@pytest.mark.parametrize(("element", "dtype"), [("f32", np.float32), ("f64", np.float64)])
def test_binary_operations_on_floats(run_natively, name, element, dtype):
    values = np.concatenate([FLOATS, SPECIALS])
    check(run_natively, f"%r = arith.{name} %a, %b : {element}", pairs(values, dtype), element)


@pytest.mark.parametrize("name", BINARY_INTEGERS)
def test_binary_operations_on_integers(run_natively, name):
    check(run_natively, f"%r = arith.{name} %a, %b : i32", pairs(INTEGERS, np.int32), "i32")


@pytest.mark.parametrize("name", DIVISIONS)
def test_divisions(run_natively, name):
    a, b = pairs(INTEGERS, np.int32)
    defined = (b != 0) & ~((a == -(2**31)) & (b == -1))
    check(run_natively, f"%r = arith.{name} %a, %b : i32", [a[defined], b[defined]], "i32")


@pytest.mark.parametrize("name", SHIFTS)
def test_shifts(run_natively, name):
    a, b = pairs(INTEGERS, np.int32)
    check(run_natively, f"%r = arith.{name} %a, %b : i32", [a, np.abs(b % 32)], "i32")


@pytest.mark.parametrize("name", [*UNARY_MATH, *POSITIVE_MATH])
def test_unary_math(run_natively, name):
    values = np.abs(FLOATS) + 0.01 if name in POSITIVE_MATH else FLOATS
    check(run_natively, f"%r = math.{name} %a : f64", [values], "f64", rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", BINARY_MATH)
def test_binary_math(run_natively, name):
    a, b = pairs(FLOATS, np.float64)
    a = np.abs(a) + 0.01 if name == "powf" else a
    check(run_natively, f"%r = math.{name} %a, %b : f64", [a, b], "f64", rtol=1e-12)


def test_negation_and_fma(run_natively):
    body = "%n = arith.negf %a : f64\n%r = math.fma %n, %b, %b : f64"
    check(run_natively, body, pairs(FLOATS, np.float64), "f64", rtol=1e-12, atol=1e-14)


FLOAT_PREDICATES = [
    "oeq", "ogt", "oge", "olt", "ole", "one", "ord",
    "ueq", "ugt", "uge", "ult", "ule", "une", "uno", "false", "true",
]  # fmt: skip
INTEGER_PREDICATES = ["eq", "ne", "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge"]


@pytest.mark.parametrize("predicate", FLOAT_PREDICATES)
def test_comparisons_of_floats(run_natively, predicate):
    body = f"%c = arith.cmpf {predicate}, %a, %b : f64\n%r = arith.uitofp %c : i1 to f64"
    check(run_natively, body, pairs(np.concatenate([FLOATS, SPECIALS]), np.float64), "f64")


@pytest.mark.parametrize("predicate", INTEGER_PREDICATES)
def test_comparisons_of_integers(run_natively, predicate):
    body = f"%c = arith.cmpi {predicate}, %a, %b : i32\n%r = arith.extui %c : i1 to i32"
    check(run_natively, body, pairs(INTEGERS, np.int32), "i32")


CONVERSIONS = {
    # result type: lines that end in the definition of %r, operands separated by "|"
    "f64": [
        "%c = arith.cmpf olt, %a, %b : f64 | %r = arith.select %c, %a, %b : f64",
        "%n = arith.truncf %a : f64 to f32 | %r = arith.extf %n : f32 to f64",
        "%n = arith.fptosi %a : f64 to i32 | %r = arith.sitofp %n : i32 to f64",
    ],
    "f32": [
        "%n = arith.truncf %a : f32 to bf16 | %r = arith.extf %n : bf16 to f32",
        "%n = arith.truncf %a : f32 to f16 | %r = arith.extf %n : f16 to f32",
    ],
    "i32": [
        "%n = arith.trunci %a : i32 to i8 | %r = arith.extsi %n : i8 to i32",
        "%n = arith.trunci %a : i32 to i8 | %r = arith.extui %n : i8 to i32",
        "%n = arith.trunci %a : i32 to i1 | %r = arith.extui %n : i1 to i32",
        "%n = arith.trunci %a : i32 to i1 | %r = arith.extsi %n : i1 to i32",
        "%n = arith.index_castui %a : i32 to index | %r = arith.index_cast %n : index to i32",
        "%n = arith.uitofp %a : i32 to f64 | %r = arith.fptoui %n : f64 to i32",
        "%r = math.absi %a : i32",
    ],
}
DTYPES = {"f64": np.float64, "f32": np.float32, "i32": np.int32}


@pytest.mark.parametrize(
    ("element", "body"), [(e, body) for e, bodies in CONVERSIONS.items() for body in bodies]
)
def test_conversions_and_selection(run_natively, element, body):
    integers = np.abs(INTEGERS[:-1]) if "fptoui" in body else INTEGERS[:-1]
    values = integers if element == "i32" else FLOATS
    check(run_natively, body.replace(" | ", "\n"), pairs(values, DTYPES[element]), element)


def test_integer_powers(context):
    """By hand: natively, fpowi needs a library function that the JIT does not link."""
    module = ir.Module.parse(
        """func.func @f(%w: tensor<3xf64>) -> tensor<3xf64> {
          %p = arith.constant -2 : i32
          %n = "ssft.update"(%w, %w) ({
          ^bb0(%a: f64, %b: f64):
            %r = math.fpowi %a, %p : f64, i32
            "ssft.yield"(%r) : (f64) -> ()
          }) {operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<3xf64>, tensor<3xf64>) -> tensor<3xf64>
          return %n : tensor<3xf64>
        }"""  # noqa: E501 (an operation's type does not break)
    )
    op = module.body.operations[0].regions[0].blocks[0].operations[1]
    w = np.array([0.5, 1.0, -4.0])
    assert op.reference(w, w)[0].tolist() == [4.0, 1.0, 0.0625]


def test_every_rule_is_named_in_this_file():
    text = Path(__file__).read_text()
    names = {name.split(".")[1] for name in scalar._RULES}
    assert {name for name in names if not re.search(rf"\b{name}\b", text)} == set()


def test_an_operation_without_a_rule_is_named(context):
    module = ir.Module.parse(
        """func.func @f(%w: tensor<1xf32>) {
          %n = "ssft.update"(%w, %w) ({
          ^bb0(%a: f32, %b: f32):
            %r = math.cbrt %a : f32
            "ssft.yield"(%r) : (f32) -> ()
          }) {operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
          return
        }"""  # noqa: E501 (an operation's type does not break)
    )
    op = module.body.operations[0].regions[0].blocks[0].operations[0]
    with pytest.raises(NotImplementedError, match=r"math\.cbrt"):
        op.reference(np.ones(1, np.float32), np.ones(1, np.float32))
