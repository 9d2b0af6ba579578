"""A sweep of ``ssft-cost parallel`` as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ssft.compiler.diagnostics import UserError

_PURPOSES = {
    "weights_bytes": "weights",
    "gathered_weights_bytes": "gathered weights",
    "gradients_bytes": "gradients",
    "optimizer_state_bytes": "states",
    "saved_activations_bytes": "saved activations",
    "temporaries_bytes": "temporaries",
}
_GROUPS = {
    "sent_tensor_bytes": "tensor parallelism",
    "sent_data_bytes": "data parallelism",
    "sent_pipeline_bytes": "pipeline",
}


def plot_sweep(
    path: str, rows: Sequence[Mapping[str, Any]], settings: Sequence[str], title: str
) -> None:
    """Writes bars for each row, stacked: bytes held by purpose above, bytes sent by group below.

    Raises UserError if matplotlib is missing, there is nothing to draw, or the file cannot be
    written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError(
            "--plot needs matplotlib", notes=["pip install 'ssft[benchmarks]'"]
        ) from None
    found = [row for row in rows if "refused" not in row]
    if not found:
        raise UserError("nothing in the sweep is possible, so there is nothing to draw")
    figure = Figure(figsize=(max(6.0, 1.2 + 0.75 * len(found)), 7.0), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    _stack(above, found, _PURPOSES, "GB on the fullest rank")
    _stack(below, found, _GROUPS, "GB sent a step by the busiest")
    labels = ["\n".join(f"{name} {row[name]}" for name in settings) for row in found]
    below.set_xticks(range(len(found)), labels, fontsize=8)
    figure.suptitle(title, fontsize=11)
    try:
        figure.savefig(path, dpi=130)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot draw '{path}': {error}") from None


def _stack(
    axes: Any, rows: Sequence[Mapping[str, Any]], parts: Mapping[str, str], what: str
) -> None:
    floor = [0.0] * len(rows)
    for number, (key, name) in enumerate(parts.items()):
        heights = [row[key] / 1e9 for row in rows]
        if any(heights):
            axes.bar(range(len(rows)), heights, 0.7, floor, label=name, color=f"C{number}")
            floor = [low + height for low, height in zip(floor, heights, strict=True)]
    for place, top in enumerate(floor):
        axes.annotate(f"{top:.3g}", (place, top), ha="center", va="bottom", fontsize=8)
    axes.set_ylabel(what)
    axes.margins(y=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    if any(floor):
        axes.legend(fontsize=8, frameon=False)
