"""Saved activations by implementation: the same mathematics keeps very different values.

`eager` is PyTorch's autograd, `eager_partial` that with copies of selected channels, `fused` a
well-fused implementation, `compiled` a plan of this compiler.
"""

from __future__ import annotations

from types import ModuleType

from ssft.compiler.cost_model.activations import compiled, eager, eager_partial, fused
from ssft.compiler.cost_model.architecture import Architecture
from ssft.compiler.diagnostics import UserError

IMPLEMENTATIONS = {
    "eager": eager,
    "eager-partial": eager_partial,
    "fused": fused,
    "compiled": compiled,
}
"""Accounts of saved activations by name; each has ``layer_saved`` and ``outer_saved``."""


def implementation(name: str, architecture: Architecture) -> ModuleType:
    """Returns the account of an implementation; UserError if it does not cover the architecture.

    Only `fused` is derived for layers other than Llama's; what the others keep depends on details.
    """
    if name != "fused" and not (architecture.gated and architecture.norm_vectors == 1):
        raise UserError(
            f"the account of {name} activations covers layers with RMSNorm and a gate, and "
            f"'{architecture.name}' has others",
            notes=["use --implementation fused; `ssftc --abstract --report` counts any model"],
        )
    return IMPLEMENTATIONS[name]
