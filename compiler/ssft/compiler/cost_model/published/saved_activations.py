"""What one layer keeps for its backward pass: 8h + 3f elements, or 6h + 2f under S2FT."""

from __future__ import annotations

from typing import Any

from ssft.compiler.cost_model.activations import compiled, eager, fused
from ssft.compiler.cost_model.activations.saved import (
    LayerView,
    bytes_per_token,
    channel_elements,
)
from ssft.compiler.cost_model.activity import activities
from ssft.compiler.cost_model.architecture import Architecture
from ssft.compiler.cost_model.config import named_architecture
from ssft.compiler.cost_model.methods import Method, full, low_rank, s2ft
from ssft.compiler.cost_model.published.comparison import Row, Table, build, load

NAME = "saved-activations"


def table() -> Table:
    """Returns the formulas' values and those of the accounts of saved activations."""
    data = load(NAME)
    rows = [
        _row(data, named_architecture(model), name, formula)
        for model in data["models"]
        for name, formula in data["formulas"].items()
    ]
    return build(NAME, data, rows)


def _row(data: dict[str, Any], shapes: Architecture, name: str, formula: dict[str, int]) -> Row:
    method = _method(data, shapes, name)
    index = shapes.layers // 2
    layer = LayerView(shapes, method, index, activities(shapes, method)[index], length=1)
    kept = fused.layer_saved(layer)
    elements = channel_elements(kept)
    more = {
        "this compiler": sum(value.elements for value in compiled.layer_saved(layer)),
        "statistics, ranks": sum(value.elements for value in kept) - elements,
        "eager, bytes": bytes_per_token(eager.layer_saved(layer)),
    }
    expected = formula["h"] * shapes.hidden + formula["f"] * shapes.feed_forward
    label = f"{shapes.name} {name}: {formula['h']}h + {formula['f']}f"
    return Row(label, expected, elements, more=more)


def _method(data: dict[str, Any], shapes: Architecture, name: str) -> Method:
    if name == "full":
        return full(shapes)
    if name == "s2ft":
        return s2ft(shapes, data["s2ft"], budget="global")
    return low_rank(shapes, data["lora"]["rank"], [linear.name for linear in shapes.linears()])
