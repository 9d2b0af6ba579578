"""``cpu-split-loops``: let a caller choose which iterations of a kernel's loops run.

The loop nests at the top level of a kernel function marked ``ssft.splits = array<i64: d0, d1, …>``
have a loop with independent iterations at depth d0, d1, … each, and the function has two trailing
``index`` arguments. These loops get the arguments as bounds, so that several threads can share one
call of the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class CpuSplitLoopsPass(Pass):
    """Rewrites the bounds of the chosen loops of functions with ``ssft.splits``."""

    argument: ClassVar[str] = "cpu-split-loops"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites all marked functions; run it right after ``convert-linalg-to-loops``."""
        for function in module.regions[0].blocks[0].operations:
            if "ssft.splits" not in function.attributes:
                continue
            block = function.regions[0].blocks[0]
            count = len(block.arguments)
            bounds = block.arguments[count - 2], block.arguments[count - 1]
            depths = list(ir.DenseI64ArrayAttr(function.attributes["ssft.splits"]))
            nests = [op.operation for op in block.operations if op.operation.name == "scf.for"]
            if len(nests) != len(depths):
                context.error(
                    function.operation,
                    f"function has {len(nests)} loop nests, but 'ssft.splits' "
                    f"says how to split {len(depths)}",
                )
                return
            for nest, depth in zip(nests, depths, strict=True):
                loop = _loop_at(nest, depth)
                loop.operands[0], loop.operands[1] = bounds
                context.statistics["loops split"] += 1


def _loop_at(nest: ir.Operation, depth: int) -> ir.Operation:
    """The loop `depth` levels inside `nest`, in which each level holds one loop."""
    for _ in range(depth):
        inner = nest.regions[0].blocks[0].operations
        nest = next(op.operation for op in inner if op.operation.name == "scf.for")
    return nest
