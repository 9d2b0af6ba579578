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
from ssft.compiler.checkpointing import MODES, Choice, choose
from ssft.compiler.passes._recompute import Recompute
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir


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
            Recompute(step, choice.recomputation).run()
            _report(choice, context)


def _report(choice: Choice, context: PassContext) -> None:
    recomputation = choice.recomputation
    context.statistics["operations recomputed"] += len(recomputation.again)
    context.statistics["products recomputed"] += sum(
        recomputation.flow.ops[number].products > 0 for number in recomputation.again
    )
