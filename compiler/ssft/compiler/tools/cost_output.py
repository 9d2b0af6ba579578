"""What ``ssft-cost`` prints: tables on stdout."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from ssft.compiler.cost_model.published import Row, Table

_PIPE_WIDTH = 150
"""Columns where there is no terminal: wide enough for every table, so that no label is cut."""


def console() -> Console:
    """A console on today's stdout."""
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return Console(highlight=False, width=width)


def show_list(entries: Iterable[tuple[str, str]]) -> None:
    """Prints names with descriptions."""
    grid = Grid(box=None, show_header=False, pad_edge=False)
    for name, text in entries:
        grid.add_row(f"[bold]{escape(name)}[/]", escape(text))
    console().print(grid)


def show_published(table: Table) -> None:
    """Prints a published table beside the computed figures, and all that they assume."""
    out = console()
    out.print(f"[bold]{escape(table.title)}[/]")
    out.print(f"source: {escape(table.source)}", style="dim")
    extra = list(dict.fromkeys(key for row in table.rows for key in row.more))
    grid = Grid()
    grid.add_column("")
    for column in (table.reference, "computed", "error", *extra):
        unit = f"\n{table.unit}" if column in (table.reference, "computed") else ""
        grid.add_column(f"{column}{unit}", justify="right")
    grid.add_column("")
    for row in table.rows:
        more = [_number(row.more[key]) if key in row.more else "" for key in extra]
        published = "out of memory" if row.published is None else _number(row.published)
        verdict = _verdict(table, row)
        cells = (published, _number(row.computed), _error(table, row), *more, verdict)
        grid.add_row(escape(row.label), *cells)
    out.print(grid)
    sentences(out, "assumed", table.assumptions)
    sentences(out, "to know", table.remarks)
    out.print(_summary(table))
    out.print()


def _verdict(table: Table, row: Row) -> str:
    if not row.checked:
        return "[dim]shown only[/]"
    if table.within(row):
        return "[green]met[/]"
    return "[yellow]not met, known[/]" if row.label in table.unmet else "[red]NOT MET[/]"


def _error(table: Table, row: Row) -> str:
    error = table.error(row)
    if error is None:
        return ""
    return f"{100 * error:+.2f} %" if table.relative else f"{error:+.4f}"


def _summary(table: Table) -> str:
    checked = [row for row in table.rows if row.checked]
    met = sum(table.within(row) for row in checked)
    tolerance = f"{100 * table.tolerance:g} %" if table.relative else f"{table.tolerance:g}"
    text = f"{met} of {len(checked)} figures within {tolerance}"
    return f"[green]{text}[/]" if table.ok else f"[red]{text}[/]"


def show_costs(report: Mapping[str, Any], assumptions: Iterable[str]) -> None:
    """Prints the costs of one configuration beside those of full fine-tuning."""
    out = console()
    trainable, total = report["trainable_parameters"], report["total_parameters"]
    work, name = report["workload"], report["architecture"]["name"]
    out.print(
        f"[bold]{escape(name)}[/], {report['method']}: {trainable:,} of {total:,} parameters train "
        f"({100 * trainable / total:.2f} %), {work['batch']} x {work['length']} tokens"
    )
    for title, key, unit in (("FLOPs", "flops", 1e9), ("memory", "memory_bytes", 1e6)):
        rows, dense = dict(report[key]), dict(report["full"][key])
        if key == "flops":
            rows["total"], dense["total"] = sum(rows.values()), sum(dense.values())
        label = {"flops": "GFLOP", "memory_bytes": "MB"}[key]
        grid = Grid(title=f"{title}, {label}", title_justify="left")
        for column in ("", report["method"], "full", "ratio"):
            grid.add_column(column, justify="left" if not column else "right")
        for row, value in rows.items():
            ratio = f"{value / dense[row]:.3f}" if dense[row] else ""
            cells = (f"{value / unit:,.1f}", f"{dense[row] / unit:,.1f}", ratio)
            grid.add_row(row.replace("_", " "), *cells)
        out.print(grid)
    _saved(out, report)
    sentences(out, "assumed", assumptions)


def _saved(out: Console, report: Mapping[str, Any]) -> None:
    title = f"kept by layer {report['layer']} for its backward pass, per token"
    grid = Grid(title=f"{title} ({report['implementation']})", title_justify="left")
    for column in ("", "elements", "bytes"):
        grid.add_column(column, justify="left" if not column else "right")
    for value in report["saved_per_token"]:
        grid.add_row(escape(value["name"]), f"{value['elements']:,g}", f"{value['bytes']:,g}")
    out.print(grid)


def sentences(out: Console, title: str, lines: Iterable[str]) -> None:
    """Prints a list of sentences under a title; nothing if there are none."""
    texts = list(lines)
    if texts:
        out.print(f"{title}:")
    for text in texts:
        out.print(f"  - {escape(text)}", style="dim")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) and abs(value) >= 1000 else f"{value:.5g}"
