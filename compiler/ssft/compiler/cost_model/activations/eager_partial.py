"""`eager` with a partial backward pass that keeps copies of the selected input channels alone.

What S2FT's section 3.3 (arXiv 2412.06289) describes: a custom autograd function saves
``activation[:, start:end]``. It must be a copy: a view keeps the storage of the whole.
"""

from __future__ import annotations

from ssft.compiler.cost_model.activations import eager
from ssft.compiler.cost_model.activations.eager import loss_temporaries, outer_saved
from ssft.compiler.cost_model.activations.saved import LayerView, Saved

__all__ = ["layer_saved", "loss_temporaries", "outer_saved"]


def layer_saved(layer: LayerView, each: int = 2) -> list[Saved]:
    """Returns what one layer keeps; `each` is the bytes of an element of the model's dtype."""
    return eager.layer_saved(layer, each, partial=True)
