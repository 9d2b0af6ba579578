"""``cpu-hoist-scratch``: allocate the scratch arrays of a kernel once, when it starts.

An allocation on the stack inside a loop would take new space in each iteration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class CpuHoistScratchPass(Pass):
    """Moves every static ``memref.alloca`` in a loop to the beginning of its function."""

    argument: ClassVar[str] = "cpu-hoist-scratch"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites all functions of `module`."""
        for function in module.regions[0].blocks[0].operations:
            op = function.operation
            if op.name == "func.func" and len(op.regions[0].blocks):
                context.statistics["arrays hoisted"] += _hoist(op)


def _hoist(function: ir.Operation) -> int:
    entry = function.regions[0].blocks[0]
    found: list[ir.Operation] = []

    def collect(op: ir.Operation) -> ir.WalkResult:
        if op.name == "memref.alloca" and not op.operands and op.block != entry:
            found.append(op)
        return ir.WalkResult.ADVANCE

    function.walk(collect)
    for op in found:
        op.move_before(entry.operations[0].operation)
    return len(found)
