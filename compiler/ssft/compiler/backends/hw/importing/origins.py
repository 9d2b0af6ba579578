"""Where operations of the step come from: phase, name, line of the model."""

from __future__ import annotations

import re

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.cost import weight_gradient_operations
from ssft.compiler.analysis.phases import RECOMPUTED, forward_operations, is_checkpointed
from ssft.compiler.backends.hw.graph import Origin
from ssft.compiler.backends.hw.importing.masked_work import gradient_contractions, masked_macs
from ssft.dialects._mlir import ir
from ssft.hwmodel.isa import Phase

_FRAME = re.compile(r'"([^"<>]+)":(\d+)')


class Origins:
    """Phase, name and source line of each operation."""

    def __init__(self, step: ir.Operation) -> None:
        self.failed: set[ir.Value] = set()
        self._forward = forward_operations(step)
        self._weight_gradients = weight_gradient_operations(step)
        self._masked = masked_macs(step)
        names: dict[ir.Value, str | None] = {
            argument: step_ir.text(attributes, "ssft.name")
            for argument, attributes in zip(
                step_ir.body(step).arguments, step_ir.argument_attributes(step), strict=True
            )
        }
        self._names = {
            op: f"{names.get(parameter) or 'weight'} gradient"
            for parameter, found in gradient_contractions(step).items()
            for op in found
        }

    def of(self, op: ir.Operation) -> Origin:
        """Where `op` comes from."""
        name = self._names.get(op, op.name)
        return Origin(name, self._phase(op), source_line(op.location), RECOMPUTED in op.attributes)

    def _phase(self, op: ir.Operation) -> Phase:
        if op in self._forward or is_checkpointed(op):
            return "forward"  # and what is computed again
        if op in self._weight_gradients or op.name in ("ssft.weight_grad", "ssft.scatter_add"):
            return "weight_gradient"
        if "<optimizer>" in str(op.location):
            return "update"
        return "input_gradient"

    def masked_macs(self, op: ir.Operation) -> int:
        """Multiply-adds that a weight gradient of all rows and columns would have on top."""
        return self._masked.get(op, 0)


def source_line(location: ir.Location) -> str:
    """The innermost line of the user's code in a location, ``file:line``; empty if none."""
    found = _FRAME.search(str(location))
    return f"{found[1]}:{found[2]}" if found else ""
