"""Micro-operations, one at a time, on values where they could be wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from machine_programs import bits, to_bf16

from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa import MicroOp
from ssft.hwmodel.machine.operations import compile_operation, constant
from ssft.hwmodel.machine.rounding import COMPUTE

INF, NAN = math.inf, math.nan


def run(name, dtype, *operands, immediate=None):
    """Runs an operation on (type, values) operands."""
    types = tuple(kind for kind, _ in operands)
    arrays = [np.array(values, COMPUTE[kind]) for kind, values in operands]
    with np.errstate(all="ignore"):
        found = compile_operation(MicroOp(name, (), dtype, immediate), types)(*arrays)
    assert found.dtype == COMPUTE[dtype]
    return found


def same(found, expected):
    assert np.array_equal(bits(found), bits(np.array(expected, found.dtype)))


@pytest.mark.parametrize(
    ("name", "operands", "expected"),
    [
        ("maximumf", ([1, NAN, 0.0, -0.0, -0.0], [2, 1, -0.0, 0.0, -0.0]), [2, NAN, 0, 0, -0.0]),
        ("minimumf", ([1, NAN, 0.0, -0.0, 0.0], [2, 1, -0.0, 0.0, 0.0]), [1, NAN, -0.0, -0.0, 0.0]),
        ("maxnumf", ([1, NAN, NAN], [2, 1, NAN]), [2, 1, NAN]),
        ("minnumf", ([1, NAN, -0.0], [2, 1, 0.0]), [1, 1, -0.0]),
        ("remf", ([5.5, -5.5, 5.5, 1], [2, 2, -2, 0]), [1.5, -1.5, 1.5, NAN]),
        ("negf", ([0.0, -1],), [-0.0, 1]),
        ("absf", ([-0.0, -INF],), [0.0, INF]),
        ("floor", ([-0.5, 1.5],), [-1, 1]),
        ("ceil", ([-0.5, 1.5],), [-0.0, 2]),
        ("roundeven", ([0.5, 1.5, -2.5],), [0, 2, -2]),
        ("round", ([0.5, 1.5, -2.5, -0.2, 0.49999997, 8388609.0, INF],),
         [1, 2, -3, -0.0, 0, 8388609.0, INF]),
        ("sqrt", ([4, 2, -1, -0.0],), [2, np.sqrt(np.float32(2)), NAN, -0.0]),
        ("divf", ([1, 1, 0], [3, 0, 0]), [np.float32(1) / np.float32(3), INF, NAN]),
    ],
)  # fmt: skip
def test_exact_operations(name, operands, expected):
    same(run(name, "f32", *(("f32", values) for values in operands)), expected)


def test_subnormals_are_not_flushed():
    same(run("mulf", "f32", ("f32", [1e-30]), ("f32", [1e-10])), [np.float32(1e-40)])
    same(run("addf", "f32", ("f32", [1e-45]), ("f32", [1e-45])), [np.float32(2.8e-45)])


FUNCTIONS = {
    "exp": math.exp, "exp2": lambda x: 2.0**x, "expm1": math.expm1, "log": math.log,
    "log1p": math.log1p, "log2": math.log2, "sin": math.sin, "cos": math.cos, "tan": math.tan,
    "tanh": math.tanh, "erf": math.erf, "rsqrt": lambda x: 1 / math.sqrt(x),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["f64", "f32", "bf16"])
def test_functions_are_computed_in_f64_and_rounded(name, dtype):
    values = np.linspace(0.03, 7.9, 200).astype(np.float32)
    values = to_bf16(values) if dtype == "bf16" else values
    expected = np.array([FUNCTIONS[name](float(x)) for x in values])
    found = run(name, dtype, (dtype, values))
    if dtype == "f64":
        assert np.allclose(found, expected, rtol=1e-15, atol=0)
    else:
        near = expected.astype(np.float32)
        same(found, to_bf16(near) if dtype == "bf16" else near)


def test_functions_keep_any_shape():
    values = np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1)
    found = run("erf", "f32", ("f32", values))
    assert found.shape == (4, 2, 3)
    assert found[3, 0, 0] == np.float32(math.erf(3.0))


def test_powers():
    same(run("powf", "f32", ("f32", [2, -2, 0]), ("f32", [0.5, 3, -1])),
         [np.float32(2**0.5), -8, INF])  # fmt: skip
    base, exponents = np.float32(1.1), [0, 1, 5, -2, 13]
    square = base * base
    fourth = square * square
    eighth = fourth * fourth
    expected = [1, base, base * fourth, 1 / square, (base * fourth) * eighth]
    same(run("fpowi", "f32", ("f32", [base] * 5), ("i32", exponents)), expected)
    same(run("fpowi", "bf16", ("bf16", [1.0078125]), ("i64", [2])), to_bf16([1.0078125**2]))


def test_bf16_arithmetic_is_rounded_once():
    one, step = 1.0, 2.0**-7
    same(run("addf", "bf16", ("bf16", [one, 256]), ("bf16", [step / 2, 1])), [1, 256])
    # In f32 the product would be a half of the last bit, and then go to even.
    tiny = to_bf16([1.0546875 * 2.0**-66, 2.0**-67 * 1.5])
    product = float(tiny[0]) * float(tiny[1])
    unit = 2.0**-133
    same(
        run("mulf", "bf16", ("bf16", tiny[:1]), ("bf16", tiny[1:])), [round(product / unit) * unit]
    )


@pytest.mark.parametrize(
    ("name", "dtype", "a", "b", "expected"),
    [
        ("addi", "i32", [2**31 - 1], [1], [-(2**31)]),
        ("muli", "i64", [2**62], [4], [0]),
        ("subi", "i8", [-128], [1], [127]),
        ("addi", "i1", [True, True], [True, False], [False, True]),
        ("divsi", "i32", [-7, 7, -8, 5, -(2**31)], [2, -2, 2, 0, -1], [-3, -3, -4, 0, -(2**31)]),
        ("remsi", "i32", [-7, 7, 5], [2, -2, 0], [-1, 1, 0]),
        ("divui", "i32", [-1], [2], [2**31 - 1]),
        ("remui", "i64", [-1], [10], [(2**64 - 1) % 10]),
        ("shli", "i32", [1, 1], [31, 40], [-(2**31), 0]),
        ("shrsi", "i32", [-8, -8], [1, 40], [-4, -1]),
        ("shrui", "i32", [-8, -8], [1, 40], [2**31 - 4, 0]),
        ("maxsi", "i64", [-1, 3], [1, 2], [1, 3]),
        ("maxui", "i64", [-1, 3], [1, 2], [-1, 3]),
        ("minsi", "i1", [True], [False], [True]),
        ("minui", "i1", [True], [False], [False]),
        ("xori", "i1", [True, True], [True, False], [False, True]),
        ("andi", "i8", [12], [10], [8]),
    ],
)
def test_integers_wrap(name, dtype, a, b, expected):
    same(run(name, dtype, (dtype, a), (dtype, b)), expected)


def test_comparisons():
    a, b = ("f32", [1, 2, NAN, 2]), ("f32", [2, 1, 1, 2])
    for predicate, expected in {
        "false": "0000", "oeq": "0001", "ogt": "0100", "oge": "0101", "olt": "1000",
        "ole": "1001", "one": "1100", "ord": "1101", "ueq": "0011", "ugt": "0110",
        "uge": "0111", "ult": "1010", "ule": "1011", "une": "1110", "uno": "0010", "true": "1111",
    }.items():  # fmt: skip
        same(run("cmpf", "i1", a, b, immediate=predicate), [bit == "1" for bit in expected])
    c, d = ("i32", [-1, 1, 5]), ("i32", [1, -1, 5])
    for predicate, expected in {
        "eq": "001", "ne": "110", "slt": "100", "sle": "101", "sgt": "010", "sge": "011",
        "ult": "010", "ule": "011", "ugt": "100", "uge": "101",
    }.items():  # fmt: skip
        same(run("cmpi", "i1", c, d, immediate=predicate), [bit == "1" for bit in expected])
    same(run("select", "f32", ("i1", [True, False]), ("f32", [1, 2]), ("f32", [3, 4])), [1, 4])


@pytest.mark.parametrize(
    ("name", "source", "values", "dtype", "expected"),
    [
        ("extf", "bf16", [1.5], "f64", [1.5]),
        ("truncf", "f64", [1 + 2.0**-24 + 2.0**-50], "f32", [np.float32(1 + 2.0**-23)]),
        ("truncf", "f64", [1 + 2.0**-8 + 2.0**-40], "bf16", [1 + 2.0**-7]),
        ("extsi", "i1", [True], "i32", [-1]),
        ("extui", "i1", [True], "i32", [1]),
        ("extui", "i32", [-1], "i64", [2**32 - 1]),
        ("trunci", "i64", [2**32 + 5, 2], "i32", [5, 2]),
        ("trunci", "i64", [2, 3], "i1", [False, True]),
        ("index_cast", "i32", [-3], "i64", [-3]),
        ("sitofp", "i64", [2**24 + 1, -(2**53) - 1], "f32", [2**24, -(2.0**53)]),
        ("sitofp", "i1", [True], "f32", [-1.0]),
        ("uitofp", "i1", [True], "f32", [1.0]),
        ("uitofp", "i64", [-1], "f64", [2.0**64]),
        ("fptosi", "f32", [1.9, -1.9, NAN, INF, -1e30], "i32", [1, -1, 0, 2**31 - 1, -(2**31)]),
        ("fptosi", "f64", [2.0**63, -(2.0**63), 2.0**62], "i64", [2**63 - 1, -(2**63), 2**62]),
        ("fptoui", "f32", [-1, 3e9, INF], "i32", [0, 3000000000 - 2**32, -1]),
        ("fptoui", "f64", [2.0**63, 1e30], "i64", [-(2**63), -1]),
        ("bitcast", "f32", [1.0], "i32", [0x3F800000]),
        ("bitcast", "i64", [0x3FF0000000000000], "f64", [1.0]),
    ],
)
def test_conversions(name, source, values, dtype, expected):
    same(run(name, dtype, (source, values)), expected)


def test_constants():
    assert constant(2**32 - 1, "i32") == -1
    assert constant("-inf", "f32") == -INF
    assert constant(1 + 2.0**-8 + 2.0**-40, "bf16") == np.float32(1 + 2.0**-7)
    assert constant(1, "i1").dtype == np.bool_
    assert constant(0.1, "f32") == np.float32(0.1)


@pytest.mark.parametrize(
    ("name", "dtype", "operands"),
    [
        ("addf", "i32", ("i32", "i32")),
        ("addi", "f32", ("f32", "f32")),
        ("exp", "f32", ("f32", "f32")),
        ("bitcast", "i64", ("f32",)),
        ("select", "f32", ("i32", "f32", "f32")),
        ("sitofp", "f32", ("f32",)),
    ],
)
def test_wrong_types_are_refused(name, dtype, operands):
    with pytest.raises(MachineError, match=name):
        compile_operation(MicroOp(name, (), dtype), operands)
