"""SparseLoRA's Table 12: how much of LoRA's products contextual sparsity leaves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ssft.compiler.cost_model.config import named_architecture
from ssft.compiler.cost_model.contextual import ContextualSparsity, computed_share, layer_shares
from ssft.compiler.cost_model.published.comparison import Row, Table, build, load

NAME = "sparselora-table12"


def table() -> Table:
    """Returns the table's shares, published and computed."""
    data = load(NAME)
    rows = [
        Row(
            entry["label"],
            entry["value"],
            computed_share(named_architecture(entry["model"]), _sparsity(entry)),
        )
        for entry in data["entries"]
    ]
    return build(NAME, data, rows, [_needed(entry) for entry in _unmet(data)])


def _sparsity(entry: dict[str, Any]) -> ContextualSparsity:
    output, length = entry["output_tokens"]
    return ContextualSparsity(
        attention=layer_shares(entry["attention"]),
        feed_forward=layer_shares(entry["feed_forward"]),
        context_share=1 - output / length,
        dense_steps=entry["dense_steps"],
    )


def _unmet(data: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry for entry in data["entries"] if entry["label"] in data["unmet"]]


def _needed(entry: dict[str, Any]) -> str:
    """Which share of context tokens would give the published figure."""
    shapes, sparsity = named_architecture(entry["model"]), _sparsity(entry)
    everything = computed_share(shapes, replace(sparsity, context_share=1.0))
    needed = (1 - entry["value"]) / (1 - everything)
    return (
        f"{entry['label']} is not met: {entry['value']} would need {needed:.3f} of its tokens to "
        f"be context, {sparsity.context_share:.3f} are assumed; the paper does not say"
    )
