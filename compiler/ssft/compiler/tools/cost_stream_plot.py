"""A streaming schedule as a picture: who is busy when, and what the device holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ssft.compiler.byte_sizes import readable
from ssft.compiler.diagnostics import UserError
from ssft.compiler.tools.cost_parallel_output import byte_unit

_PHASES = {"forward": "#4c78a8", "backward": "#f58518", "update": "#54a24b"}
_KINDS = {
    "frozen": "#4c78a8",
    "trainable": "#54a24b",
    "state": "#b279a2",
    "activation": "#f58518",
    "gradient": "#e45756",
}
_ROWS = ("compute", "to_device", "to_host", "ssd_read", "ssd_write", "host_update")
_NAMES = ("computing", "host → device", "device → host", "SSD → host", "host → SSD", "host updates")


def plot_schedule(path: str, report: Mapping[str, Any]) -> None:
    """Writes bars by queue over time above, bytes on the device by kind below.

    Raises UserError if matplotlib is missing or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError(
            "--plot needs matplotlib", notes=["pip install 'ssft[benchmarks]'"]
        ) from None
    figure = Figure(figsize=(11.0, 6.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    _queues(above, report)
    _memory(below, report)
    budget = readable(report["machine"]["device"], decimal=True)
    figure.suptitle(
        f"{report['name']}, {report['method']}: {report['seconds']:.3g} s in {budget}", fontsize=11
    )
    try:
        figure.savefig(path, dpi=130)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot draw '{path}': {error}") from None


def _queues(axes: Any, report: Mapping[str, Any]) -> None:
    used = {transfer["queue"] for transfer in report["transfers"]} | {"compute"}
    rows = [row for row in _ROWS if row in used]
    for phase, color in _PHASES.items():
        spans = [
            (s["begin"], s["end"] - s["begin"]) for s in report["segments"] if s["phase"] == phase
        ]
        axes.broken_barh(spans, (-0.4, 0.8), facecolor=color, label=phase, linewidth=0)
    for row, queue in enumerate(rows[1:], 1):
        for kind, color in _KINDS.items():
            spans = [
                (t["start"], t["end"] - t["start"])
                for t in report["transfers"]
                if t["queue"] == queue and report["tensors"][t["tensor"]]["kind"] == kind
            ]
            axes.broken_barh(spans, (row - 0.4, 0.8), facecolor=color, linewidth=0)
    axes.set_yticks(range(len(rows)), [_NAMES[_ROWS.index(row)] for row in rows])
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1, 1))


def _memory(axes: Any, report: Mapping[str, Any]) -> None:
    """Bytes from the moment that they are promised until they are free again."""
    unit, size = byte_unit(10 * report["machine"]["device"])
    times = sorted({0.0, report["seconds"], *(s["slot"] for s in report["segments"])})
    kinds = [kind for kind in _KINDS if any(t["kind"] == kind for t in report["tensors"])]
    changes: dict[str, dict[float, float]] = {kind: {} for kind in kinds}
    loads = {
        (t["tensor"], t["needed"]): t for t in report["transfers"] if t["queue"] == "to_device"
    }
    stores = {(t["tensor"], t["slot"]): t for t in report["transfers"] if t["queue"] == "to_host"}
    for number, tensor in enumerate(report["tensors"]):
        for first, last in tensor["on_device"]:
            load, store = loads.get((number, first)), stores.get((number, last))
            begin = load["start"] if load else report["segments"][first]["slot"]
            end = store["end"] if store else report["segments"][last]["end"]
            of_kind = changes[tensor["kind"]]
            of_kind[begin] = of_kind.get(begin, 0.0) + tensor["bytes"]
            of_kind[end] = of_kind.get(end, 0.0) - tensor["bytes"]
    levels = [_levels(changes[kind], times, size) for kind in kinds]
    axes.stackplot(
        times, levels, labels=kinds, colors=[_KINDS[kind] for kind in kinds], linewidth=0
    )
    axes.axhline(report["machine"]["device"] / size, color="black", linewidth=1, linestyle="--")
    axes.set_xlabel("seconds")
    axes.set_ylabel(f"{unit} on the device\n(without temporaries)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, ncols=5, loc="lower right", bbox_to_anchor=(1, 1))


def _levels(changes: Mapping[float, float], times: list[float], unit: float) -> list[float]:
    found, level, moments = [], 0.0, sorted(changes)
    at = 0
    for time in times:
        while at < len(moments) and moments[at] <= time:
            level += changes[moments[at]]
            at += 1
        found.append(max(level, 0.0) / unit)
    return found
