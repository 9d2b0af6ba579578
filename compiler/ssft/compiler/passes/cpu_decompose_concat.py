"""``cpu-decompose-concat``: write the parts of a concatenation straight into their places.

``tensor.concat`` bufferizes to one copy per part. As a chain of ``tensor.insert_slice`` the parts'
producers can be given a piece of the result as destination (``eliminate-empty-tensors``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class CpuDecomposeConcatPass(Pass):
    """Replaces each static ``tensor.concat`` by ``tensor.empty`` and ``tensor.insert_slice``."""

    argument: ClassVar[str] = "cpu-decompose-concat"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites every ``tensor.concat`` of `module`."""
        found: list[ir.Operation] = []

        def collect(op: ir.Operation) -> ir.WalkResult:
            if op.name == "tensor.concat":
                found.append(op)
            return ir.WalkResult.ADVANCE

        module.walk(collect)
        with module.context:
            for concat in found:
                if not all(v.type.has_static_shape for v in [*concat.operands, *concat.results]):
                    context.error(concat, "'tensor.concat' must have static dimensions")
                    return
                _decompose(concat)
        context.statistics["concatenations"] += len(found)


def _decompose(concat: ir.Operation) -> None:
    type_ = ir.RankedTensorType(concat.results[0].type)
    axis = ir.IntegerAttr(concat.attributes["dim"]).value
    rank = len(type_.shape)
    with ir.InsertionPoint(concat), concat.location:
        result = ir.Operation.create("tensor.empty", results=[type_]).results[0]
        position = 0
        for part in concat.operands:
            sizes = list(ir.RankedTensorType(part.type).shape)
            offsets = [position if dimension == axis else 0 for dimension in range(rank)]
            result = ir.Operation.create(
                "tensor.insert_slice",
                results=[type_],
                operands=[part, result],
                attributes={
                    "static_offsets": ir.DenseI64ArrayAttr.get(offsets),
                    "static_sizes": ir.DenseI64ArrayAttr.get(sizes),
                    "static_strides": ir.DenseI64ArrayAttr.get([1] * rank),
                    "operandSegmentSizes": ir.DenseI32ArrayAttr.get([1, 1, 0, 0, 0]),
                },
            ).results[0]
            position += sizes[axis]
    concat.results[0].replace_all_uses_with(result)
    concat.erase()
