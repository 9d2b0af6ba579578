"""ZeRO's Figure 1: bytes of weights, gradients and states on each of many ranks."""

from __future__ import annotations

from ssft.compiler.cost_model.parallel.layout import Layout
from ssft.compiler.cost_model.parallel.pieces import Piece
from ssft.compiler.cost_model.parallel.zero import sharded_bytes
from ssft.compiler.cost_model.published.comparison import Row, Table, build, load

NAME = "zero-fig1"


def table() -> Table:
    """Returns the figure's bars, published and computed."""
    data = load(NAME)
    size = data["parameters"]
    model = [Piece("all", "all", weights=2 * size, gradients=2 * size, states=12 * size)]
    rows = []
    for stage, (label, value) in enumerate(data["stages"].items()):
        held = sharded_bytes(model, Layout(data=data["ranks"], zero=stage))
        rows.append(Row(label, value, (held.weights + held.gradients + held.states) / 1e9))
    return build(NAME, data, rows)
