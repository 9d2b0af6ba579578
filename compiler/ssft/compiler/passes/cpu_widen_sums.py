"""``cpu-widen-sums``: add up half-precision numbers in single precision, and many in double.

An accumulator in bfloat16 stops growing after 256 terms of equal size. PyTorch adds up in f32 and
rounds the result, whatever the element type, and so do the providers of matrix products, which
need no help: products of matrices are left alone.

An accumulator in f32 that sees many terms one after the other is off by more the more they are,
where they are of one sign; PyTorch adds them up in a tree. Here long sums have an accumulator in
f64. Sums that vector registers or `cpu-split-reductions` cut into many are not long.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from ssft.compiler.analysis.contractions import as_contraction, indexing_maps
from ssft.compiler.analysis.forms import starts_from_zeros
from ssft.compiler.analysis.step import find_step, shape_of
from ssft.compiler.passes import _build as build
from ssft.compiler.passes._accumulators import accumulators
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir

_HALF = ("bf16", "f16")

_PARTS = 32
"""Sums in vector registers at a time, at least, if terms lie next to each other."""


@dataclass(frozen=True)
class CpuWidenSumsPass(Pass):
    """Gives ``linalg.generic`` sums a wider accumulator; the result is rounded.

    Sums of bf16 and f16 get one in f32, long sums of f32 one in f64.
    """

    argument: ClassVar[str] = "cpu-widen-sums"

    long: int = field(
        default=1024,
        metadata={"help": "an f32 sum is long if it adds up so many terms one after the other"},
    )

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites the sums in the block of ``@step``."""
        step = find_step(module)
        with module.context:
            for op in list(step.regions[0].blocks[0].operations):
                wide = self._accumulator(op.operation)
                if wide is not None:
                    _widen(op.operation, wide)
                    context.statistics["sums widened"] += 1

    def _accumulator(self, op: ir.Operation) -> ir.Type | None:
        """The type that `op` should add up in; None if its own is wide enough, or it is no sum."""
        if op.name != "linalg.generic" or len(op.results) != 1:
            return None
        if [combiner.name for combiner in accumulators(op)] != ["arith.addf"]:
            return None
        if _is_matrix_product(op):
            return None
        element = str(ir.RankedTensorType(op.results[0].type).element_type)
        if element in _HALF:
            return ir.F32Type.get()
        return ir.F64Type.get() if element == "f32" and _terms(op) >= self.long else None


def _is_matrix_product(op: ir.Operation) -> bool:
    """Sums of products element by element are none: they are computed by loops, as other sums."""
    found = as_contraction(op)
    return found is not None and any(found.sizes[loop] > 1 for loop in (*found.m, *found.n))


def _terms(op: ir.Operation) -> int:
    """How many terms an accumulator of a sum sees one after the other."""
    maps = indexing_maps(op)
    if maps is None:
        return 0
    sizes: dict[int, int] = {}
    for value, loops in zip(op.operands, maps, strict=True):
        sizes.update(zip(loops, shape_of(value) or [], strict=False))
    reduced = [loop for loop in sorted(sizes) if loop not in maps[-1]]
    # Of several loops the outermost one is split off.
    terms = math.prod(sizes[loop] for loop in reduced[1:] or reduced)
    rank = max(map(len, maps))
    adjacent = all(loops[-1] in reduced for loops in maps if len(loops) == rank)
    return terms // _PARTS if adjacent else terms


def _widen(op: ir.Operation, element: ir.Type) -> None:
    result = op.results[0]
    narrow = ir.RankedTensorType(result.type)
    with ir.InsertionPoint(op), op.location:
        wide = ir.RankedTensorType.get(narrow.shape, element)
        *inputs, start = op.operands
        if starts_from_zeros(op):
            start = build.fill_with_zero(wide)
        else:
            start = build.generic([start], [build.empty(wide)], _converted("arith.extf")).result
        total = build.structured(
            "linalg.generic",
            inputs,
            [start],
            lambda *arguments: [_sum(op, arguments)],
            indexing_maps=op.attributes["indexing_maps"],
            iterator_types=op.attributes["iterator_types"],
        ).result
        rounded = build.generic([total], [build.empty(narrow)], _converted("arith.truncf")).result
    result.replace_all_uses_with(rounded)
    op.erase()


def _converted(name: str) -> build.Body:
    """The body of an operation that converts elements to the type of its result's."""
    return lambda value, old: [build.op(name, [old.type], [value]).result]


def _sum(op: ir.Operation, arguments: tuple[ir.Value, ...]) -> ir.Value:
    """Copies the body of `op`, on `arguments`; returns the new value of the accumulator."""
    combiner = accumulators(op)[0]
    block = op.regions[0].blocks[0]
    *_, accumulator = block.arguments
    mapping: dict[ir.Value, ir.Value] = dict(zip(block.arguments, arguments, strict=True))
    *body, _ = (inner.operation for inner in block.operations)
    for inner in body:
        if inner == combiner:
            continue
        copy = inner.clone()
        for number, operand in enumerate(inner.operands):
            copy.operands[number] = mapping.get(operand, operand)
        mapping.update(zip(inner.results, copy.results, strict=True))
    term = next(operand for operand in combiner.operands if operand != accumulator)
    single = arguments[-1].type
    wide = build.op("arith.extf", [single], [mapping.get(term, term)]).result
    return build.op("arith.addf", [single], [wide, arguments[-1]]).result
