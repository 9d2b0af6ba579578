"""``cpu-separate-destinations``: give every operation a destination of its own.

CSE merges equal ``tensor.empty`` and ``linalg.fill`` operations, after which bufferization has to
copy the shared zeros for every user but one. Cloning them per user costs nothing: the arena planner
shares the memory, and a fill in front of a reduction or contraction becomes part of its kernel. An
array of equal constants would have to be copied as well, and is filled instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.analysis.forms import is_fill
from ssft.compiler.analysis.step import find_step, owner
from ssft.compiler.passes import _build as build
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class CpuSeparateDestinationsPass(Pass):
    """Clones the empty or filled tensor behind each destination operand; run no CSE after it."""

    argument: ClassVar[str] = "cpu-separate-destinations"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites the destinations of all operations in ``@step``, also those in loops."""
        found: list[ir.Operation] = []

        def collect(op: ir.Operation) -> ir.WalkResult:
            if _destinations(op):
                found.append(op)
            return ir.WalkResult.ADVANCE

        find_step(module).walk(collect)
        for op in found:
            for number in _destinations(op):
                if _separate(op, number):
                    context.statistics["destinations separated"] += 1


def _destinations(op: ir.Operation) -> range:
    if op.name.startswith("linalg.") and op.results and len(op.regions):
        return range(len(op.operands) - len(op.results), len(op.operands))
    if op.name == "tensor.insert_slice":
        return range(1, 2)
    if op.name == "scf.for":
        return range(3, len(op.operands))
    return range(0)


def _separate(op: ir.Operation, number: int) -> bool:
    """Clones the producer of operand `number` in front of `op` if others use it as well."""
    producer = owner(op.operands[number])
    value = _equal_elements(producer)
    if value is not None:
        with ir.InsertionPoint(op), op.location, op.context:
            op.operands[number] = _filled(ir.RankedTensorType(op.operands[number].type), value)
        return True
    if _is_empty_view(producer):
        with ir.InsertionPoint(op), op.location, op.context:
            op.operands[number] = build.empty(ir.RankedTensorType(op.operands[number].type))
        return True
    if producer is None or not (producer.name == "tensor.empty" or is_fill(producer)):
        return False
    if len(list(producer.results[0].uses)) <= 1 and producer.block == op.block:
        return False
    clone = producer.clone(ip=ir.InsertionPoint(op))
    op.operands[number] = clone.results[0]
    if clone.name != "tensor.empty":
        _separate(clone, len(clone.operands) - 1)
    return True


def _is_empty_view(op: ir.Operation | None) -> bool:
    """Whether `op` is an empty tensor in another shape."""
    seen = op
    while seen is not None and seen.name in ("tensor.expand_shape", "tensor.collapse_shape"):
        seen = owner(seen.operands[0])
    return seen is not None and seen.name == "tensor.empty" and seen != op


def _equal_elements(op: ir.Operation | None) -> ir.Attribute | None:
    """The element of a constant tensor whose elements are all equal."""
    if op is None or op.name != "arith.constant":
        return None
    value = op.attributes["value"]
    if not isinstance(value, ir.DenseElementsAttr) or not value.is_splat:
        return None
    return value.get_splat_value()


def _filled(type_: ir.RankedTensorType, value: ir.Attribute) -> ir.Value:
    scalar = build.op("arith.constant", [type_.element_type], value=value).result
    destination = build.empty(type_)
    return build.structured("linalg.fill", [scalar], [destination], lambda new, old: [new]).result
