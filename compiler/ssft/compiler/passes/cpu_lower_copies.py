"""``cpu-lower-copies``: turn ``memref.copy`` into loops over elements.

Left alone, a copy between arrays with gaps becomes a call of a function of MLIR's C runtime, which
does not exist where the code runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class CpuLowerCopiesPass(Pass):
    """Replaces every ``memref.copy`` by ``linalg.copy``."""

    argument: ClassVar[str] = "cpu-lower-copies"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites all copies in `module`."""
        found: list[ir.Operation] = []

        def collect(op: ir.Operation) -> ir.WalkResult:
            if op.name == "memref.copy":
                found.append(op)
            return ir.WalkResult.ADVANCE

        module.walk(collect)
        for copy in found:
            with module.context, copy.location:
                _replace(copy)
        context.statistics["copies"] += len(found)


def _replace(copy: ir.Operation) -> None:
    element = ir.MemRefType(copy.operands[0].type).element_type
    with ir.InsertionPoint(copy):
        loops = ir.Operation.create(
            "linalg.copy",
            operands=list(copy.operands),
            regions=1,
            attributes={"operandSegmentSizes": ir.DenseI32ArrayAttr.get([1, 1])},
        )
    block = loops.regions[0].blocks.append(element, element, arg_locs=[copy.location] * 2)
    with ir.InsertionPoint(block):
        ir.Operation.create("linalg.yield", operands=[block.arguments[0]])
    copy.erase()
