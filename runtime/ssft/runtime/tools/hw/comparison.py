"""``ssft-hw compare``: two runs side by side."""

from __future__ import annotations

import argparse
import json
from typing import Any

from rich.markup import escape

from ssft.compiler.diagnostics import UserError
from ssft.compiler.files import check_directory, write_text
from ssft.compiler.tools.console import Progress
from ssft.runtime.tools.hw.inputs import Stage, kind_of, load_program, read_report, simulated
from ssft.runtime.tools.hw.text import bar, console, si, table


def run(parsed: argparse.Namespace) -> int:
    """Compares two inputs, or one input on two machines."""
    from ssft.hwmodel.report import compare

    check_directory(parsed.json)
    pairs = _pairs(parsed)
    with Progress(parsed.progress) as progress:
        reports = [_report(path, machine, parsed, progress.stage) for path, machine in pairs]
    names = _names([path for path, _ in pairs], reports)
    comparison = compare(reports[0], reports[1], names)
    if parsed.json == "-":
        print(json.dumps(comparison.to_json(), indent=1))
        return 0
    if parsed.json:
        write_text(parsed.json, json.dumps(comparison.to_json(), indent=1) + "\n")
    if not parsed.quiet:
        _show(comparison, all_rows=parsed.all)
    return 0


def _pairs(parsed: argparse.Namespace) -> list[tuple[str, str | None]]:
    """(file, machine or None) of both sides."""
    machines: list[str | None] = list(parsed.machines or [])
    if parsed.second is None:
        if len(machines) != 2:
            raise UserError(
                "one input needs two machines",
                notes=["write `ssft-hw compare A --machine X --machine Y`, or give two inputs"],
                exit_code=2,
            )
        return [(parsed.first, machines[0]), (parsed.first, machines[1])]
    if len(machines) > 2:
        raise UserError(f"{len(machines)} machines for two inputs", exit_code=2)
    machines = machines * 2 if len(machines) == 1 else machines or [None, None]
    return [(parsed.first, machines[0]), (parsed.second, machines[1])]


def _report(
    path: str, machine: str | None, parsed: argparse.Namespace, stage: Stage
) -> dict[str, Any]:
    if kind_of(path) == "report":
        if machine is not None or parsed.set:
            raise UserError(
                f"'{path}' is a saved report: its machine is fixed",
                notes=["compare plans or programs to choose machines"],
                exit_code=2,
            )
        return read_report(path)
    _, report = simulated(load_program(path, parsed, stage, machine), parsed.tokens, stage)
    return report


def _names(paths: list[str], reports: list[dict[str, Any]]) -> tuple[str, str]:
    """What tells the two apart: files, machines or both."""
    machines = [report["machine"]["name"] for report in reports]
    precisions = [report["program"]["precision"] for report in reports]
    sources = [report.get("source", {}).get("file", path)
               for path, report in zip(paths, reports, strict=True)]  # fmt: skip
    parts: list[list[str]] = [[], []]
    for values in (sources, machines, precisions):
        if values[0] != values[1]:
            parts[0].append(str(values[0]))
            parts[1].append(str(values[1]))
    found = [" on ".join(part[:2]) + (f" ({part[2]})" if part[2:] else "") for part in parts]
    if found[0] == found[1]:
        found = [f"A: {found[0] or machines[0]}", f"B: {found[1] or machines[1]}"]
    return found[0], found[1]


def _show(comparison: Any, *, all_rows: bool) -> None:
    out = console()
    out.print(f"A = [bold]{escape(comparison.first)}[/]")
    out.print(f"B = [bold]{escape(comparison.second)}[/]")
    rows = []
    for row in comparison.rows:
        if not all_rows and not row.first and not row.second:
            continue
        ratio = "" if row.ratio is None else f"{row.ratio:.3f}"
        length = 0.0 if row.ratio is None else row.ratio / 2
        rows.append((row.figure.replace("_", " "), *_values(row), ratio, bar(length, 16)))
    title = "B / A: A is the denominator of every ratio; half a bar is 1"
    out.print(table(title, ("figure", "A", "B", "B / A", "~<"), rows))
    for gain, text in ((comparison.speed_up, "time"), (comparison.energy_gain, "energy")):
        if gain:
            word = "less" if gain >= 1 else "more"
            factor = gain if gain >= 1 else 1 / gain
            out.print(f"B takes [bold]{factor:.3f}[/] times {word} {text} than A")
    for note in comparison.notes:
        out.print(f"[cyan]note:[/] {escape(note)}")


_PREFIXED = ("s", "J", "W", "B")
"""Units that are printed; others count what the figure is called after."""


def _values(row: Any) -> tuple[str, str]:
    if row.unit == "cycles":
        return f"{row.first:,}", f"{row.second:,}"
    if row.unit == "1":
        return f"{row.first:.4f}", f"{row.second:.4f}"
    unit = row.unit if row.unit in _PREFIXED else ""
    return si(row.first, unit), si(row.second, unit)
