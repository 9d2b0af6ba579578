"""Saved activations by implementation: the same mathematics keeps very different values.

`eager` is PyTorch's autograd, `fused` a well-fused implementation, `compiled` a plan of ours.
"""

from __future__ import annotations

from ssft.compiler.cost_model.activations import compiled, eager, fused

IMPLEMENTATIONS = {"eager": eager, "fused": fused, "compiled": compiled}
"""Accounts of saved activations by name; each has ``layer_saved`` and ``outer_saved``."""
