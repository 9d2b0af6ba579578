"""Scalar operations: against Python's numbers, and each rounded exactly once."""

from __future__ import annotations

import itertools
import math
import operator
import sys
from pathlib import Path

import numpy as np
import pytest

from ssft.compiler.backends.interpreter.formats import rounded

sys.path.insert(0, str(Path(__file__).parent))

from interpreting import MLIR, elementwise, same_bits, tensor, to_bf16

NUMBERS = np.array([-2.5, -1.0, -0.3, -0.0, 0.0, 1e-9, 0.4, 0.5, 1.5, 2.5, 7.0])
POSITIVE = np.array([1e-30, 1e-3, 0.7, 1.0, 1.3, 40.0])
UNIT = np.array([-0.9, -0.1, 0.0, 0.3, 0.9])

FUNCTIONS = {
    "absf": (abs, NUMBERS),
    "acos": (math.acos, UNIT),
    "asin": (math.asin, UNIT),
    "atan": (math.atan, NUMBERS),
    "ceil": (math.ceil, NUMBERS),
    "cos": (math.cos, NUMBERS),
    "cosh": (math.cosh, NUMBERS),
    "erf": (math.erf, NUMBERS),
    "exp": (math.exp, NUMBERS),
    "exp2": (lambda x: 2.0**x, NUMBERS),
    "expm1": (math.expm1, NUMBERS),
    "floor": (math.floor, NUMBERS),
    "log": (math.log, POSITIVE),
    "log10": (math.log10, POSITIVE),
    "log1p": (math.log1p, POSITIVE),
    "log2": (math.log2, POSITIVE),
    "round": (lambda x: math.copysign(math.floor(abs(x) + 0.5), x), NUMBERS),
    "roundeven": (round, NUMBERS),
    "rsqrt": (lambda x: 1 / math.sqrt(x), POSITIVE),
    "sin": (math.sin, NUMBERS),
    "sinh": (math.sinh, NUMBERS),
    "sqrt": (math.sqrt, POSITIVE),
    "tan": (math.tan, NUMBERS),
    "tanh": (math.tanh, NUMBERS),
    "trunc": (math.trunc, NUMBERS),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name, dtype):
    function, numbers = FUNCTIONS[name]
    element, numbers = ("f32", "f64")[dtype is np.float64], numbers.astype(dtype)
    expected = np.array([function(float(x)) for x in numbers]).astype(dtype)
    for arithmetic in ("native", "f32"):
        found = elementwise(
            f"math.{name} %x0 : {element}", [numbers], element, arithmetic=arithmetic
        )
        # Two libraries' functions differ in the last place; the accelerator's f32 does not show it.
        ulps = 0 if arithmetic == "f32" and element == "f32" else 4
        np.testing.assert_array_max_ulp(found, expected, ulps)


BINARY = {
    "arith.addf": operator.add,
    "arith.subf": operator.sub,
    "arith.mulf": operator.mul,
    "arith.remf": math.fmod,
    "arith.maximumf": max,
    "arith.minimumf": min,
    "arith.maxnumf": max,
    "arith.minnumf": min,
    "math.copysign": math.copysign,
    "math.atan2": math.atan2,
}


@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_numbers(name):
    pairs = [(a, b) for a, b in itertools.product(NUMBERS, NUMBERS) if b]
    a, b = np.array(pairs, np.float32).T.copy()
    exact = [BINARY[name](float(x), float(y)) for x, y in zip(a, b, strict=True)]
    found = elementwise(f"{name} %x0, %x1 : f32", [a, b], "f32", arithmetic="f32")
    assert (found == np.array(exact).astype(np.float32)).all()


def test_maxima_of_zeros_and_of_what_is_no_number():
    a, b = np.array(list(itertools.product([0.0, -0.0, np.nan, 1.0], repeat=2)), np.float32).T
    largest = elementwise("arith.maximumf %x0, %x1 : f32", [a, b], "f32", arithmetic="f32")
    smallest = elementwise("arith.minimumf %x0, %x1 : f32", [a, b], "f32", arithmetic="f32")
    number = elementwise("arith.maxnumf %x0, %x1 : f32", [a, b], "f32", arithmetic="f32")
    least = elementwise("arith.minnumf %x0, %x1 : f32", [a, b], "f32", arithmetic="f32")
    for row in zip(a, b, largest, smallest, number, least, strict=True):
        x, y, high, low, most, fewest = row
        if np.isnan(x) or np.isnan(y):
            assert np.isnan(high) and np.isnan(low)
            rest = y if np.isnan(x) else x
            np.testing.assert_array_equal([most, fewest], [rest, rest])
            continue
        assert same_bits(np.array([most, fewest]), np.array([high, low]))
        if x == y == 0:
            assert np.signbit(high) == (np.signbit(x) and np.signbit(y))
            assert np.signbit(low) == (np.signbit(x) or np.signbit(y))
        else:
            assert (high, low) == (max(x, y), min(x, y))


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 7, 12, -1, -3])
def test_powers_multiply_from_the_least_significant_bit(exponent):
    x = np.random.default_rng(0).standard_normal(50).astype(np.float32)
    result, square = np.float32(1) + 0 * x, x
    for bit in reversed(f"{abs(exponent):b}"):
        result = result * square if bit == "1" else result
        square = square * square
    expected = 1 / result if exponent < 0 else result
    found = elementwise(
        "math.fpowi %x0, %x1 : f32, i32", [x, np.full(50, exponent, np.int32)], "f32"
    )
    assert same_bits(found, expected)


def test_powers_with_many_exponents():
    x, exponents = np.full(6, 1.5, np.float32), np.array([0, 1, -1, 2, 5, -4])
    found = elementwise("math.fpowi %x0, %x1 : f32, i64", [x, exponents], "f32")
    assert found.tolist() == [np.float32(1.5 ** int(n)) for n in exponents]


PREDICATES = {
    "eq": operator.eq,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
    "ne": operator.ne,
}


@pytest.mark.parametrize("name", ["false", "true", "ord", "uno", *PREDICATES])
def test_comparisons_of_floats(name):
    values = [0.0, -1.0, 2.0, math.inf, math.nan]
    a, b = np.array(list(itertools.product(values, values)), np.float32).T.copy()
    prefixes = [""] if name not in PREDICATES else ["o", "u"]
    for prefix in prefixes:
        found = elementwise(f"arith.cmpf {prefix}{name}, %x0, %x1 : f32", [a, b], "i1")
        for x, y, holds in zip(a, b, found, strict=True):
            unordered = math.isnan(x) or math.isnan(y)
            expected = {"false": False, "true": True, "ord": not unordered, "uno": unordered}
            if name in PREDICATES:
                expected[name] = prefix == "u" if unordered else PREDICATES[name](x, y)
            assert holds == expected[name], (prefix, name, x, y)


@pytest.mark.parametrize("name", PREDICATES)
def test_comparisons_of_integers(name):
    values = [-3, -1, 0, 2, 100]
    a, b = np.array(list(itertools.product(values, values)), np.int32).T.copy()
    for sign in "su":
        prefix = "" if name in ("eq", "ne") else sign
        found = elementwise(f"arith.cmpi {prefix}{name}, %x0, %x1 : i32", [a, b], "i1")
        modulus = 2**32 if prefix == "u" else None
        for x, y, holds in zip(a.tolist(), b.tolist(), found, strict=True):
            x, y = (x % modulus, y % modulus) if modulus else (x, y)
            assert holds == PREDICATES[name](x, y)


def test_a_true_bit_is_minus_one_to_signed_operations():
    a, b = np.array([False, False, True, True]), np.array([False, True, False, True])
    signed = elementwise("arith.cmpi slt, %x0, %x1 : i1", [a, b], "i1")
    unsigned = elementwise("arith.cmpi ult, %x0, %x1 : i1", [a, b], "i1")
    assert signed.tolist() == [False, False, True, False]
    assert unsigned.tolist() == [False, True, False, False]
    for name, expected in (("addi", a ^ b), ("muli", a & b), ("maxsi", a & b), ("minsi", a | b)):
        assert (elementwise(f"arith.{name} %x0, %x1 : i1", [a, b], "i1") == expected).all()


def _wrapped(value: int, bits: int) -> int:
    return (value + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


INTEGERS = {
    "addi": operator.add,
    "subi": operator.sub,
    "muli": operator.mul,
    "andi": operator.and_,
    "ori": operator.or_,
    "xori": operator.xor,
    "maxsi": max,
    "minsi": min,
    "divsi": lambda a, b: int(a / b),
    "floordivsi": operator.floordiv,
    "ceildivsi": lambda a, b: -(-a // b),
    "remsi": lambda a, b: int(math.fmod(a, b)),
    "divui": lambda a, b: (a % 2**32) // (b % 2**32),
    "remui": lambda a, b: (a % 2**32) % (b % 2**32),
    "maxui": lambda a, b: max(a % 2**32, b % 2**32),
    "minui": lambda a, b: min(a % 2**32, b % 2**32),
    "shli": lambda a, b: a << (b % 32),
    "shrsi": lambda a, b: a >> (b % 32),
    "shrui": lambda a, b: (a % 2**32) >> (b % 32),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_wrap_around(name):
    values = [-(2**31) + 1, -70000, -5, 1, 3, 31, 2**31 - 1]
    pairs = list(itertools.product(values, values))
    if name.startswith("sh"):
        pairs = [(a, b) for a, b in pairs if 0 <= b < 32]
    a, b = np.array(pairs, np.int32).T.copy()
    found = elementwise(f"arith.{name} %x0, %x1 : i32", [a, b], "i32")
    assert found.tolist() == [_wrapped(INTEGERS[name](x, y), 32) for x, y in pairs]


CONVERSIONS = [
    ("arith.sitofp", np.array([-3, 2**24 + 1], np.int32), "f32", [-3.0, 2.0**24]),
    ("arith.uitofp", np.array([-1, 5], np.int32), "f64", [2.0**32 - 1, 5.0]),
    ("arith.sitofp", np.array([True, False]), "f32", [-1.0, 0.0]),
    ("arith.uitofp", np.array([True, False]), "f32", [1.0, 0.0]),
    ("arith.extsi", np.array([True, False]), "i64", [-1, 0]),
    ("arith.extui", np.array([True, False]), "i64", [1, 0]),
    ("arith.extui", np.array([-1, 7], np.int8), "i32", [255, 7]),
    ("arith.trunci", np.array([2**32 + 5, -1]), "i32", [5, -1]),
    ("arith.trunci", np.array([2, 3]), "i1", [False, True]),
    ("arith.fptosi", np.array([-2.9, 2.9], np.float32), "i32", [-2, 2]),
    ("arith.fptoui", np.array([200.7], np.float32), "i8", [-56]),
    ("arith.extf", np.array([0.1], np.float32), "f64", [float(np.float32(0.1))]),
    ("arith.truncf", np.array([0.1]), "f32", [np.float32(0.1)]),
    ("arith.truncf", np.array([0.1], np.float32), "f16", [np.float16(0.1)]),
    ("arith.bitcast", np.array([1.0], np.float32), "i32", [0x3F800000]),
]


@pytest.mark.parametrize("number", range(len(CONVERSIONS)))
def test_conversions(number):
    name, operand, result, expected = CONVERSIONS[number]
    source = MLIR[operand.dtype]
    found = elementwise(f"{name} %x0 : {source} to {result}", [operand], result)
    assert found.tolist() == expected


def test_select():
    condition = np.array([True, False])
    a, b = np.array([1.0, 2.0], np.float32), np.array([3.0, 4.0], np.float32)
    found = elementwise("arith.select %x0, %x1, %x2 : f32", [condition, a, b], "f32")
    assert found.tolist() == [1.0, 4.0]


@pytest.mark.parametrize("name", ["addf", "subf", "mulf", "divf"])
def test_bf16_operations_round_once(name):
    random = np.random.default_rng(0)
    a, b = (rounded(random.standard_normal(500).astype(np.float32), "bf16") for _ in range(2))
    exact = {"addf": a + b, "subf": a - b, "mulf": a * b, "divf": a.astype(np.float64) / b}[name]
    types = [tensor((500,), "bf16")] * 2
    found = elementwise(f"arith.{name} %x0, %x1 : bf16", [a, b], "bf16", types=types)
    assert same_bits(found, np.array([to_bf16(x) for x in exact]))


def test_doubles_round_once_to_bf16():
    """Just above a tie: by way of f32, which rounds to the tie itself, the result would differ."""
    tie = 1.0 + 2.0**-8
    values = np.array([tie, tie + 2.0**-40, tie - 2.0**-40, tie + 2.0**-7, 3.5e38, -1e-300, 0.1])
    found = elementwise("arith.truncf %x0 : f64 to bf16", [values], "bf16")
    assert found[:4].tolist() == [1.0, 1.0 + 2.0**-7, 1.0, 1.0 + 2.0**-6]
    assert found[4] == np.inf
    assert found[5] == 0 and np.signbit(found[5])
    assert found[6] == to_bf16(0.1)


def test_special_functions_of_bf16_round_once_from_f64():
    x = rounded(np.linspace(-4, 4, 333).astype(np.float32), "bf16")
    types = [tensor(x.shape, "bf16")]
    found = elementwise("math.exp %x0 : bf16", [x], "bf16", types=types, arithmetic="bf16")
    assert same_bits(found, np.array([to_bf16(math.exp(value)) for value in x]))
