"""Descriptors of the vector unit: micro-programs of loop nests over scratchpad operands.

A micro-program is a list of perfect loop nests, executed in order. Each iteration of a nest loads
one element from every input, runs straight-line scalar code, and stores one element to every
output. Operands live in the scratchpad and temporaries in the unit's row buffer; both are
*slots*: operands first (bound by the command's argument list, in order), temporaries after them.

Registers of a nest's code are numbered: inputs in order, then the outputs' current values in order,
then one per micro-operation. `results` names the registers stored to the outputs.

A nest reads all it needs before it writes: an output may be an input, too, at the same place.

Reductions. An output that some reduction dimension does not move accumulates. If its result is
``addf(x, out)`` or ``addf(out, x)`` with ``out`` its current value and x independent of it, the
terms are taken in row-major order over the reduction dimensions (in the nest's order), cut into
groups of 16 (the last one filled up with +0), each group added as a balanced tree, neighbours
first, and group sums added to the accumulator in ascending order. Everything else is sequential.

Arithmetic: each operation rounds once to its type, to nearest even. Functions that have no exact
result (exp, log, sin, cos, tanh, erf, pow, rsqrt, ...) are computed in f64 and then rounded.
fpowi of x and n >= 0 starts from 1 and squares and multiplies, from the least significant bit of n,
each step rounded to the operation's type; for n < 0 it is 1 / fpowi(x, -n). Integers wrap around.
-0 is less than +0 for maximumf and minimumf. Where MLIR leaves a result undefined, an integer
division by zero gives 0, a shift by the width or more shifts everything out, and a float that is
too large for an integer gives the nearest one, not-a-number 0. Of not-a-numbers no bits are fixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ssft.hwmodel.isa.dtypes import DType

Immediate = int | float | str | None


@dataclass(frozen=True, slots=True)
class Slot:
    """An operand or a temporary: `elements` elements of `dtype`.

    `access` is ``in``, ``out`` or ``inout`` for operands and ``temporary`` for temporaries.
    """

    dtype: DType
    elements: int
    access: Literal["in", "out", "inout", "temporary"]


@dataclass(frozen=True, slots=True)
class Access:
    """How a nest walks through a slot: first element and stride per dimension, in elements.

    `initial`, on an output: the accumulator starts from this number instead of what is stored.
    """

    slot: int
    offset: int
    strides: tuple[int, ...]
    initial: int | float | None = None


@dataclass(frozen=True, slots=True)
class MicroOp:
    """One scalar operation: MLIR's name without its dialect, operand registers, result type.

    `immediate` holds what is not a register: the number of ``constant``, the predicate's name of
    ``cmpf`` and ``cmpi``, the dimension of ``index``, the slot of ``extract`` (an element
    of the whole slot; operands: the position in it, in elements, an i64 register).

    Names: addf subf mulf divf negf maximumf minimumf maxnumf minnumf remf absf sqrt rsqrt exp exp2
    expm1 log log1p log2 sin cos tan tanh erf powf fpowi floor ceil roundeven round, addi subi muli
    divsi divui remsi remui andi ori xori shli shrsi shrui maxsi minsi maxui minui, cmpf cmpi
    select, extf truncf extsi extui trunci sitofp uitofp fptosi fptoui index_cast bitcast,
    constant index extract.
    """

    name: str
    operands: tuple[int, ...]
    dtype: DType
    immediate: Immediate = None


@dataclass(frozen=True, slots=True)
class Nest:
    """A perfect loop nest. `reduction` says for each dimension whether outputs accumulate over it.

    `origins`: for each dimension, how ``index`` finds its first value in the whole operation:
    (divisor, modulus) mean ``(origin // divisor) % modulus``, with the command's `origin`.
    (1, 1) stands for 0.
    """

    extents: tuple[int, ...]
    reduction: tuple[bool, ...]
    inputs: tuple[Access, ...]
    outputs: tuple[Access, ...]
    code: tuple[MicroOp, ...]
    results: tuple[int, ...]
    origins: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class MicroProgram:
    """Loop nests over slots. `kind` is a label for people: ``softmax``, ``elementwise``, ..."""

    kind: str
    slots: tuple[Slot, ...]
    nests: tuple[Nest, ...]
