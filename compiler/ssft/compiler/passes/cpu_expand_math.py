"""``cpu-expand-math``: elementary functions as arithmetic that LLVM can vectorise.

A call of ``expf`` keeps a loop scalar. The replacements below are branch-free, treat infinities and
NaN as the C library does, and are accurate to one unit in the last place, tanh to 1.25. Of exp,
results below 2.8e-38 (f32), which are subnormal or nearly so, become zero.

Doubles become bfloat16 by way of single precision, as in PyTorch: LLVM would call a function of a
compiler's run-time library, which is not there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.passes import _build as build
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class _Format:
    """What the expansion of exp needs to know about a floating-point format."""

    bits: int
    mantissa: int
    bias: int
    ln2_high: float
    """Leading bits of ln 2, so few that multiples of it are exact."""
    ln2_low: float
    """The rest of ln 2, to more digits than one number of the format holds."""
    terms: int
    """Degree of the Taylor polynomial on ``|r| <= ln(2)/2``."""
    low: float
    """Below this exp is zero."""
    high: float
    """Above this exp is infinite."""


_FORMATS = {
    "f32": _Format(
        32, 23, 127, 0.693359375, -2.1219444005469058e-4, 7, -86.5, math.log(3.4028235e38)
    ),
    "f64": _Format(
        64, 52, 1023, 0.6931471803691238, 1.9082149292705877e-10, 13, -707.5, 709.782712893384
    ),
}


@dataclass(frozen=True)
class CpuExpandMathPass(Pass):
    """Replaces ``math.exp`` (f32, f64), ``math.tanh`` and ``math.erf`` (f32) by arithmetic, and
    ``arith.truncf`` from f64 to bf16 by two steps.
    """

    argument: ClassVar[str] = "cpu-expand-math"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites all scalar operations in `module`."""
        found: list[ir.Operation] = []
        narrowed: list[ir.Operation] = []

        def collect(op: ir.Operation) -> ir.WalkResult:
            if op.name in EXPANSIONS and str(op.operands[0].type) in EXPANSIONS[op.name][1]:
                found.append(op)
            elif op.name == "arith.truncf" and _types(op) == ("f64", "bf16"):
                narrowed.append(op)
            return ir.WalkResult.ADVANCE

        module.walk(collect)
        with module.context:
            for op in found:
                expand = EXPANSIONS[op.name][0]
                with ir.InsertionPoint(op), op.location:
                    value = expand(op.operands[0])
                op.results[0].replace_all_uses_with(value)
                op.erase()
            for op in narrowed:
                with ir.InsertionPoint(op), op.location:
                    single = build.op("arith.truncf", [ir.F32Type.get()], [op.operands[0]])
                op.operands[0] = single.result
        context.statistics["functions expanded"] += len(found)


def _types(op: ir.Operation) -> tuple[str, str]:
    return str(op.operands[0].type), str(op.results[0].type)


def exp(x: ir.Value) -> ir.Value:
    """``2**n * exp(r)`` with ``n = round(x / ln 2)``, ``r = x - n ln 2`` (Cody and Waite)."""
    format_ = _FORMATS[str(x.type)]
    # Adding 1.5 * 2**mantissa rounds to an integer and leaves it in the low bits.
    magic = constant(x.type, 1.5 * 2.0**format_.mantissa)
    shifted = add(multiply(x, constant(x.type, 1 / math.log(2))), magic, contract=False)
    n = subtract(shifted, magic, contract=False)
    r = multiply_add(n, constant(x.type, -format_.ln2_high), x)
    r = multiply_add(n, constant(x.type, -format_.ln2_low), r)
    value = polynomial(r, [1 / math.factorial(i) for i in range(format_.terms, -1, -1)])
    # Half of the power of two, so that results up to the largest number do not overflow.
    integer = ir.IntegerType.get_signless(format_.bits)
    exponent = build.op("arith.bitcast", [integer], [shifted]).result
    exponent = _integer("arith.addi", exponent, format_.bias - 1)
    exponent = _integer("arith.shli", exponent, format_.mantissa)
    scale = build.op("arith.bitcast", [x.type], [exponent]).result
    result = multiply(add(value, value), scale)
    result = select(compare("olt", x, format_.low), constant(x.type, 0.0), result)
    return select(compare("ogt", x, format_.high), constant(x.type, math.inf), result)


def tanh(x: ir.Value) -> ir.Value:
    """``1 - 2 / (exp(2|x|) + 1)`` with the sign of x; near zero a polynomial (Cephes, tanhf)."""
    magnitude = build.op("math.absf", [x.type], [x]).result
    one, two = constant(x.type, 1.0), constant(x.type, 2.0)
    large = subtract(one, divide(two, add(exp(add(magnitude, magnitude)), one)))
    large = build.op("math.copysign", [x.type], [large, x]).result
    square = multiply(x, x)
    series = polynomial(
        square,
        [
            -5.70498872745e-3,
            2.06390887954e-2,
            -5.37397155531e-2,
            1.33314422036e-1,
            -3.33332819422e-1,
        ],
    )
    small = multiply_add(multiply(series, square), x, x)
    return select(compare("olt", magnitude, 0.625), small, large)


def erf(x: ir.Value) -> ir.Value:
    """Minimax polynomials below and above 475/512 (after N. Juffa's erff), error below 1 ulp."""
    magnitude = build.op("math.absf", [x.type], [x]).result
    square = multiply(x, x)
    first = polynomial(magnitude, [-1.72853470e-5, 3.83197126e-4])
    second = polynomial(magnitude, [-3.88396438e-3, 2.42546219e-2])
    tail = multiply_add(first, square, second)
    for coefficient in (-1.06777877e-1, -6.34846687e-1, -1.28717512e-1):
        tail = multiply_add(tail, magnitude, constant(x.type, coefficient))
    tail = subtract(multiply(tail, magnitude), magnitude)
    large = subtract(constant(x.type, 1.0), exp(tail))
    large = build.op("math.copysign", [x.type], [large, x]).result
    small = polynomial(
        square,
        [
            *(-5.96761703e-4, 4.99119423e-3, -2.67681349e-2),
            *(1.12819925e-1, -3.76125336e-1, 1.28379166e-1),
        ],
    )
    small = multiply_add(small, x, x)
    return select(compare("ogt", magnitude, 0.927734375), large, small)


EXPANSIONS: dict[str, tuple[Callable[[ir.Value], ir.Value], tuple[str, ...]]] = {
    "math.exp": (exp, ("f32", "f64")),
    "math.tanh": (tanh, ("f32",)),
    "math.erf": (erf, ("f32",)),
}
"""How each function is expanded, and for which types."""


def constant(type_: ir.Type, value: float) -> ir.Value:
    """A floating-point constant."""
    return build.op("arith.constant", [type_], value=ir.FloatAttr.get(type_, value)).result


def polynomial(x: ir.Value, coefficients: Sequence[float]) -> ir.Value:
    """Horner's scheme; `coefficients` from the highest power down."""
    value = constant(x.type, coefficients[0])
    for coefficient in coefficients[1:]:
        value = multiply_add(value, x, constant(x.type, coefficient))
    return value


def add(a: ir.Value, b: ir.Value, contract: bool = True) -> ir.Value:
    """``a + b``; with `contract` it may be fused with a multiplication."""
    return _binary("arith.addf", a, b, contract)


def subtract(a: ir.Value, b: ir.Value, contract: bool = True) -> ir.Value:
    """``a - b``; with `contract` it may be fused with a multiplication."""
    return _binary("arith.subf", a, b, contract)


def multiply(a: ir.Value, b: ir.Value) -> ir.Value:
    """``a * b``, which may be fused with an addition."""
    return _binary("arith.mulf", a, b, True)


def divide(a: ir.Value, b: ir.Value) -> ir.Value:
    """``a / b``."""
    return _binary("arith.divf", a, b, False)


def multiply_add(a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    """``a * b + c``, in one instruction where there is one."""
    return add(multiply(a, b), c)


def compare(predicate: str, a: ir.Value, limit: float) -> ir.Value:
    """``a <predicate> limit``; false if `a` is NaN (`predicate` is ``"olt"`` or ``"ogt"``)."""
    number = {"ogt": 2, "olt": 4}[predicate]
    attribute = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), number)
    boolean = ir.IntegerType.get_signless(1)
    operands = [a, constant(a.type, limit)]
    return build.op("arith.cmpf", [boolean], operands, predicate=attribute).result


def select(condition: ir.Value, a: ir.Value, b: ir.Value) -> ir.Value:
    """`a` where `condition` holds, else `b`."""
    return build.op("arith.select", [a.type], [condition, a, b]).result


def _binary(name: str, a: ir.Value, b: ir.Value, contract: bool) -> ir.Value:
    flags = ir.Attribute.parse(f"#arith.fastmath<{'contract' if contract else 'none'}>")
    return build.op(name, [a.type], [a, b], fastmath=flags).result


def _integer(name: str, a: ir.Value, value: int) -> ir.Value:
    attribute = ir.IntegerAttr.get(a.type, value)
    number = build.op("arith.constant", [a.type], value=attribute).result
    return build.op(name, [a.type], [a, number]).result
