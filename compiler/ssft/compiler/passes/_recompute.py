"""Does a recomputation, chosen on numbers (`ssft.compiler.checkpointing`), to the IR of a step."""

from __future__ import annotations

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.liveness import storage
from ssft.compiler.analysis.phases import RECOMPUTED, outer_uses
from ssft.compiler.checkpointing import Recomputation
from ssft.dialects._mlir import ir
from ssft.dialects.ssft import BarrierOp

Use = tuple[ir.Operation, int, ir.Value]
"""An operation, the number of an operand, and its value."""


class Recompute:
    """Does a recomputation to a step."""

    def __init__(self, step: ir.Operation, recomputation: Recomputation) -> None:
        flow = recomputation.flow
        self.recomputation = recomputation
        self.operations = list(step_ir.operations(step))
        self.again = {
            result for number in recomputation.again for result in self.operations[number].results
        }
        self.forward = {
            result
            for op, known in zip(self.operations[: flow.forward], flow.ops, strict=False)
            if any(flow.sizes[made] for made in known.makes)
            for result in op.results
        }
        self.copies: dict[ir.Value, ir.Value] = {}
        """Of what is done again, and of views of it."""
        self.barriers: dict[ir.Value, ir.Value] = {}
        """Of what is kept, and of views of it."""

    def run(self) -> None:
        """Copies what is done again to its readers, and makes the backward pass read the copies."""
        flow = self.recomputation.flow
        for number in range(flow.forward, len(self.operations)):
            op = self.operations[number]
            if flow.ops[number].is_view:
                continue  # copied where its readers are
            with ir.InsertionPoint(op):
                for earlier in self.recomputation.placed.get(number, ()):
                    self._repeat(self.operations[earlier])
                for user, position, value in list(outer_uses(op)):
                    if storage(value) in self.again:
                        user.operands[position] = _viewed(value, self.copies)

    def _repeat(self, op: ir.Operation) -> None:
        """Does `op` again, from what was done again and, behind barriers, what is kept."""
        copy = op.clone()
        # Not what `ssft-rematerialize` marks its copies with: one of its, later, may do the same.
        copy.attributes[RECOMPUTED] = ir.StringAttr.get("checkpoint")
        uses = [use for use in outer_uses(copy) if _is_tensor(use[2])]
        own = [use for use in uses if storage(use[2]) in self.again | self.forward]
        with ir.InsertionPoint(copy):
            # A barrier before an argument if nothing else tells the copy from the original.
            for user, position, value in own or [_first_argument(uses)]:
                root = storage(value)
                if root not in self.again and root not in self.barriers:
                    self.barriers[root] = BarrierOp.build(root).result
                known = self.copies if root in self.again else self.barriers
                user.operands[position] = _viewed(value, known)
        self.copies |= dict(zip(op.results, copy.results, strict=True))


def _viewed(value: ir.Value, known: dict[ir.Value, ir.Value]) -> ir.Value:
    """Returns what `known` has for `value`, by copying the views on the way to it if need be."""
    if value not in known:
        view = step_ir.owner(value)
        assert view is not None
        source = _viewed(view.operands[0], known)
        copy = view.clone()
        copy.operands[0] = source
        known[value] = copy.results[0]
    return known[value]


def _first_argument(uses: list[Use]) -> Use:
    return next(use for use in uses if step_ir.owner(storage(use[2])) is None)


def _is_tensor(value: ir.Value) -> bool:
    return isinstance(value.type, ir.RankedTensorType)
