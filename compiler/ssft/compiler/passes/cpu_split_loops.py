"""``cpu-split-loops``: let a caller choose which iterations of a kernel's outer loop run.

A kernel function marked ``ssft.extent = n`` has loops from 0 to n at its top level whose iterations
are independent, and two trailing ``index`` arguments. The loops get these as bounds, so that
several threads can share one call of the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class CpuSplitLoopsPass(Pass):
    """Rewrites the bounds of the outermost loops of functions with ``ssft.extent``."""

    argument: ClassVar[str] = "cpu-split-loops"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites all marked functions; run it right after ``convert-linalg-to-loops``."""
        for function in module.regions[0].blocks[0].operations:
            if "ssft.extent" not in function.attributes:
                continue
            block = function.regions[0].blocks[0]
            count = len(block.arguments)
            low, high = block.arguments[count - 2], block.arguments[count - 1]
            for op in block.operations:
                loop = op.operation
                if loop.name == "scf.for" and loop.operands[0] != low:
                    loop.operands[0], loop.operands[1] = low, high
                    context.statistics["loops split"] += 1
