"""ZO2's device memory: OPT models under zeroth-order optimization, streamed block by block."""

from __future__ import annotations

from typing import Any

from ssft.compiler.cost_model.architecture import Architecture
from ssft.compiler.cost_model.published.comparison import Row, Table, build, load

NAME = "zo2-memory"


def table() -> Table:
    """Returns the published figures and the computed ones, with their parts."""
    data = load(NAME)
    rows = []
    for label, published in data["gigabytes"].items():
        parts = device_bytes(opt(label, data), data)
        more = {title: value / 1e9 for title, value in parts.items()}
        rows.append(Row(label, published, sum(more.values()), more=more))
    return build(NAME, data, rows)


def opt(label: str, data: dict[str, Any]) -> Architecture:
    """Returns the shapes of an OPT model as ZO2's tests make them."""
    hidden, layers, heads = data["shapes"][label]
    return Architecture(
        label, hidden, 4 * hidden, layers, heads, heads, hidden // heads, data["vocabulary"],
        gated=False, tied=True, qkv_bias=True, output_bias=True, feed_forward_bias=True,
        norm_vectors=2, positions=data["length"] + 2,
    )  # fmt: skip


def device_bytes(shapes: Architecture, data: dict[str, Any]) -> dict[str, float]:
    """Returns bytes on the device by part: what stays, the window of blocks, temporaries."""
    tokens, each = data["length"], data["bytes"]
    scores = shapes.heads * tokens * tokens
    return {
        "outside of blocks": each * shapes.outer_parameters,
        "three blocks": data["blocks"] * each * shapes.layer_parameters,
        "hidden values": data["hidden_bytes"] * tokens * shapes.hidden,
        "scores": data["score_bytes"] * scores,
        "logits": data["logit_bytes"] * tokens * shapes.vocabulary,
        "context": data["context"],
    }
