"""``cpu-relax-reductions``: let sums be added up in another order.

A floating-point sum has one order unless told otherwise, and a loop in that order cannot use vector
registers. Here only the operation that accumulates gets the permission, so element-wise arithmetic
keeps its exact meaning. Several partial sums are also more accurate than one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.passes._accumulators import accumulators
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class CpuRelaxReductionsPass(Pass):
    """Adds ``reassoc`` to accumulating additions, and ``contract`` to all additions and products.

    ``contract`` allows a product and a sum to become one instruction, which rounds once.
    """

    argument: ClassVar[str] = "cpu-relax-reductions"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites the bodies of all ``linalg.generic`` operations in `module`."""
        generics: list[ir.Operation] = []

        def collect(op: ir.Operation) -> ir.WalkResult:
            if op.name == "linalg.generic":
                generics.append(op)
            return ir.WalkResult.ADVANCE

        module.walk(collect)
        with module.context:
            contract = ir.Attribute.parse("#arith.fastmath<contract>")
            reassociate = ir.Attribute.parse("#arith.fastmath<reassoc,nsz,contract>")
            for generic in generics:
                for inner in generic.regions[0].blocks[0].operations:
                    if inner.operation.name in ("arith.addf", "arith.subf", "arith.mulf"):
                        inner.operation.attributes["fastmath"] = contract
                for combiner in accumulators(generic):
                    combiner.attributes["fastmath"] = reassociate
                    context.statistics["reductions relaxed"] += 1
