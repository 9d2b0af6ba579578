"""``ssft-checkpoint``: compute activations again in the backward pass instead of keeping them.

Each layer's activations are there twice, and never all layers' at once. Layers are what repeats in
the forward pass; random numbers are functions of seed, step, draw and element, so that computing
them again gives the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.flow import Flow
from ssft.compiler.analysis.liveness import storage
from ssft.compiler.analysis.phases import RECOMPUTED, outer_uses
from ssft.compiler.checkpointing import MODES, Choice, Recomputation, choose
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir
from ssft.dialects.ssft import BarrierOp

Use = tuple[ir.Operation, int, ir.Value]
"""An operation, the number of an operand, and its value."""


@dataclass(frozen=True)
class CheckpointPass(Pass):
    """Computes activations of the forward pass again, right before the backward pass reads them.

    Mode ``layer`` keeps only what crosses the boundaries between layers; ``selective`` computes
    again what frees the most bytes per operation; ``auto`` takes the cheapest choice that meets
    ``peak``. Recomputed operations carry ``ssft.recomputed = "checkpoint"`` and read what was kept
    through ``ssft.barrier``, so that they are not merged with the originals.
    """

    argument: ClassVar[str] = "ssft-checkpoint"

    mode: str = field(default="layer", metadata={"help": ", ".join(MODES)})
    saved: int = field(
        default=0, metadata={"help": "selective: bytes that the forward pass may keep (0: any)"}
    )
    peak: int = field(
        default=0,
        metadata={"help": "selective, auto: bytes of temporaries alive at once (0: any)"},
    )

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites ``@step``."""
        step = step_ir.find_step(module)
        if self.mode not in MODES:
            context.error(step, f"unknown mode '{self.mode}'", f"modes are {', '.join(MODES)}")
            return
        with module.context, step.location:
            choice = choose(Flow.of(step), self.mode, saved=self.saved, peak=self.peak)
            if choice is None:
                context.error(
                    step,
                    "no choice of activations to recompute meets the target",
                    f"saved = {self.saved}, peak = {self.peak} (bytes; 0: any)",
                )
                return
            _Rewriting(step, choice.recomputation).run()
            _report(choice, context)


def _report(choice: Choice, context: PassContext) -> None:
    recomputation = choice.recomputation
    context.statistics["operations recomputed"] += len(recomputation.again)
    context.statistics["products recomputed"] += sum(
        recomputation.flow.ops[number].products > 0 for number in recomputation.again
    )


class _Rewriting:
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
