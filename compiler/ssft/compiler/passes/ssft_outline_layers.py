"""``ssft-outline-layers``: code that repeats becomes a function, called once per repetition.

A step of n equal layers holds n forward layers, n backward layers and n updates. In a plan's file
each is there once. `ssft-inline-layers` is the way back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from ssft.compiler.outlining import LEAST, outline_layers
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class OutlineLayersPass(Pass):
    """Makes private functions of stretches of ``@step`` that recur, where this pays.

    A stretch may stand anywhere and read anything; its operations, their order, what they exchange
    and their source locations must recur. What it reads becomes an argument; constants that all
    repetitions read are in the function; attributes in the name space ``ssft`` that differ, such as
    the tile of an update, go with the call, as ``ssft.slots``. Functions carry ``ssft.outlined``.
    The step should be canonical and free of common subexpressions: a stretch holds no constants.
    """

    argument: ClassVar[str] = "ssft-outline-layers"

    least: int = field(default=LEAST, metadata={"help": "fewest repetitions worth a function"})

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites ``@step`` and adds functions behind it."""
        done = outline_layers(module, self.least)
        context.statistics["functions"] += done.functions
        context.statistics["calls"] += done.calls
        context.statistics["operations outlined"] += done.operations
