"""What ``ssft-cost parallel`` prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from ssft.compiler.tools.cost_output import console, sentences

Report = Mapping[str, Any]


def show_parallel(report: Report, assumed: Iterable[str]) -> None:
    """Prints one report: memory and traffic of a rank, beside full fine-tuning's if it is known."""
    out = console()
    _heading(out, report)
    full = report.get("full")
    columns = [report["method"], "full", "ratio"] if full else [report["method"]]
    unit, size = byte_unit(report["memory_bytes"]["total"])
    memory = _grid(columns)
    for key, value in report["memory_bytes"].items():
        reference = full["memory_bytes"][key] if full else None
        if value or reference:
            memory.add_row(key.replace("_", " "), *_beside(value, reference, size))
    out.print(f"memory of the fullest rank, {unit}:")
    out.print(memory)
    _show_peak(out, report)
    _show_sent(out, report, columns)
    _show_transfers(out, report)
    _show_seconds(out, report)
    sentences(out, "assumed", assumed)


def _heading(out: Console, report: Report) -> None:
    layout, ranks = report["layout"], report["ranks"]
    trainable, total = report["trainable_parameters"], report["total_parameters"]
    out.print(
        f"[bold]{escape(report['name'])}[/], {report['method']}: {trainable:,} of {total:,} "
        f"parameters train ({100 * trainable / total:.2f} %)"
    )
    batch = f"{report['batch']} x {report['length']} tokens" if report["length"] else "its batch"
    out.print(
        f"{ranks} ranks: {layout['data']} data x {layout['tensor']} tensor x "
        f"{layout['pipeline']} pipeline, ZeRO stage {layout['zero']}, {batch} a step, "
        f"{layout['microbatches']} microbatches ({layout['schedule']}, bubble "
        f"{100 * report['pipeline_bubble']:.1f} %)"
    )


def _show_peak(out: Console, report: Report) -> None:
    if peak := report.get("plan_peak_bytes"):
        unit, size = byte_unit(peak)
        out.print(f"the plan itself, on one rank, at its peak: {peak / size:,.2f} {unit}")


def _show_sent(out: Console, report: Report, columns: Sequence[str]) -> None:
    sent, full = report["sent_bytes"], report.get("full")
    unit, size = byte_unit(sent["total"])
    grid = _grid(columns)
    reference = full["sent_bytes"] if full else {"by_purpose": {}, "by_group": {}, "total": None}
    for purpose, value in sent["by_purpose"].items():
        grid.add_row(purpose, *_beside(value, reference["by_purpose"].get(purpose), size))
    grid.add_row("total", *_beside(sent["total"], reference["total"], size))
    out.print(f"sent by the rank that sends the most, {unit} a step:")
    out.print(grid)


def _show_transfers(out: Console, report: Report) -> None:
    timed = any(each["link"] for each in report["transfers"])
    unit, size = byte_unit(max((each["size"] for each in report["transfers"]), default=0))
    columns = ["group", "collective", "ranks", "times", f"{unit} each", f"{unit} sent"]
    grid = _grid([*columns, *(["link", "ms"] if timed else [])])
    for each in report["transfers"]:
        cells = [
            each["dimension"],
            each["collective"],
            f"{each['ranks']}",
            f"{each['count']:g}",
            f"{each['size'] / size:,.2f}",
            f"{each['sent_bytes'] / size:,.2f}",
        ]
        if timed:
            cells += [escape(each["link"]), f"{1e3 * each['seconds']:,.3f}"]
        grid.add_row(each["purpose"], *cells)
    if report["transfers"]:
        out.print("its transfers:")
        out.print(grid)


def _show_seconds(out: Console, report: Report) -> None:
    times = report["seconds"]
    if (communication := times["communication"]) is not None:
        links = ", ".join(
            f"{escape(name)} {1e3 * link['seconds']:,.2f}"
            for name, link in times["by_link"].items()
        )
        out.print(f"communication: {1e3 * communication:,.2f} ms a step ({links})")
    if (computing := times["computing"]) is not None:
        out.print(f"computing: {1e3 * computing:,.2f} ms a step, with the pipeline's bubble")
    if (ratio := times["computing_over_communication"]) is not None:
        out.print(f"computing / communication: {ratio:,.2f}")
    if (intensity := report["flops_per_byte_sent"]) is not None:
        out.print(f"FLOPs per byte sent: {intensity:,.0f}")


_HEADINGS = {
    "weights_bytes": "weights",
    "gathered_weights_bytes": "gathered",
    "gradients_bytes": "gradients",
    "optimizer_state_bytes": "states",
    "saved_activations_bytes": "kept",
    "temporaries_bytes": "temp.",
    "total_bytes": "total",
    "sent_tensor_bytes": "sent: tensor",
    "sent_data_bytes": "data",
    "sent_pipeline_bytes": "pipeline",
    "sent_bytes": "all",
    "communication_seconds": "comm. ms",
    "computing_seconds": "comp. ms",
    "microbatches": "micro",
}
"""Of a sweep's columns, short: there are many."""


def show_sweep(rows: Sequence[Mapping[str, Any]], settings: Sequence[str], title: str) -> None:
    """Prints the rows of a sweep; what cannot be split is listed below."""
    found = [row for row in rows if "refused" not in row]
    keys = list(dict.fromkeys(key for row in found for key in row if key not in settings))
    keys = [key for key in keys if any(row[key] for row in found)]
    unit, size = byte_unit(max((row["total_bytes"] for row in found), default=0))
    grid = Grid(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for key in (*settings, *keys):
        grid.add_column(_HEADINGS.get(key, key), justify="right", no_wrap=True)
    for row in found:
        cells = [_swept(key, row[key], size) for key in keys]
        grid.add_row(*(f"{row[name]}" for name in settings), *cells)
    out = console()
    out.print(
        f"[bold]{escape(title)}[/]: {unit} on the fullest rank, {unit} sent a step by the busiest"
    )
    out.print(grid)
    refused = [
        ", ".join(f"{name} {row[name]}" for name in settings) + f": {row['refused']}"
        for row in rows
        if "refused" in row
    ]
    sentences(out, "not possible", refused)


def _swept(key: str, value: float, unit: float) -> str:
    scale = unit if key.endswith("_bytes") else 1e-3 if key.endswith("_seconds") else None
    if scale is None:
        return f"{value:,}"
    figure = value / scale
    return f"{figure:,.{2 if figure < 100 else 1 if figure < 1000 else 0}f}"


def byte_unit(largest: float) -> tuple[str, float]:
    """A unit of bytes in which a table's largest figure has some digits before the point."""
    return next(unit for unit in _UNITS if largest >= 10 * unit[1] or unit is _UNITS[-1])


_UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def _grid(columns: Sequence[str]) -> Grid:
    grid = Grid()
    grid.add_column("")
    for column in columns:
        grid.add_column(column, justify="right")
    return grid


def _beside(value: float, reference: float | None, unit: float) -> list[str]:
    """A value, and what full fine-tuning has, if known."""
    cells = [f"{value / unit:,.2f}"]
    if reference is not None:
        cells += [f"{reference / unit:,.2f}", f"{value / reference:.3f}" if reference else ""]
    return cells
