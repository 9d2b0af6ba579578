"""``cpu-widen-sums``: add up half-precision numbers in single precision.

An accumulator in bfloat16 stops growing after 256 terms of equal size. PyTorch adds up in f32 and
rounds the result, whatever the element type, and so do the providers of matrix products, which
need no help: sums of products are left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.analysis.contractions import as_contraction
from ssft.compiler.analysis.forms import starts_from_zeros
from ssft.compiler.analysis.step import find_step
from ssft.compiler.passes import _build as build
from ssft.compiler.passes._accumulators import accumulators
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir

_HALF = ("bf16", "f16")


@dataclass(frozen=True)
class CpuWidenSumsPass(Pass):
    """Gives ``linalg.generic`` sums of bf16 and f16 an f32 accumulator; the result is rounded."""

    argument: ClassVar[str] = "cpu-widen-sums"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites the sums in the block of ``@step``."""
        step = find_step(module)
        with module.context:
            for op in list(step.regions[0].blocks[0].operations):
                if _adds_up_halves(op.operation):
                    _widen(op.operation)
                    context.statistics["sums widened"] += 1


def _adds_up_halves(op: ir.Operation) -> bool:
    if op.name != "linalg.generic" or len(op.results) != 1 or as_contraction(op) is not None:
        return False
    if str(ir.RankedTensorType(op.results[0].type).element_type) not in _HALF:
        return False
    return [combiner.name for combiner in accumulators(op)] == ["arith.addf"]


def _widen(op: ir.Operation) -> None:
    result = op.results[0]
    narrow = ir.RankedTensorType(result.type)
    single = ir.F32Type.get()
    with ir.InsertionPoint(op), op.location:
        wide = ir.RankedTensorType.get(narrow.shape, single)
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
