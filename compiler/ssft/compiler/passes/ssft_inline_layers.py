"""``ssft-inline-layers``: functions that were outlined from the step go back into it.

The inverse of ``ssft-outline-layers``. Whatever works on a step wants it flat; plans are inlined
when they are loaded, a module that `ssft-opt` reads only by this pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.outlining import inline_layers
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class InlineLayersPass(Pass):
    """Replaces calls of functions that carry ``ssft.outlined`` by what they do.

    Operations keep the source locations that they have in the function. A constant of a function is
    that of ``@step``, if it has the same before all calls. Other functions are left alone.
    """

    argument: ClassVar[str] = "ssft-inline-layers"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites ``@step`` and erases the functions."""
        context.statistics["calls"] += inline_layers(module)
