"""``ssft-hw simulate``: the report of a run, on the terminal and in files."""

from __future__ import annotations

import argparse
import json

from ssft.compiler.diagnostics import UserError
from ssft.compiler.files import check_directory, write_text
from ssft.compiler.tools.console import Progress
from ssft.runtime.tools.hw.inputs import load_program, simulated


def run(parsed: argparse.Namespace) -> int:
    """Times a plan or program; prints tables and writes the views that were asked for."""
    for path in (parsed.json, parsed.trace, parsed.csv, parsed.html):
        check_directory(path)
    if parsed.tokens is not None and parsed.tokens < 1:
        raise UserError(f"--tokens is {parsed.tokens}, not at least 1", exit_code=2)
    if parsed.csv_rows and not parsed.csv:
        raise UserError(
            "--csv-rows without --csv FILE", notes=["name the table's file"], exit_code=2
        )
    with Progress(parsed.progress) as progress:
        loaded = load_program(parsed.input, parsed, progress.stage)
        simulation, found = simulated(loaded, parsed.tokens, progress.stage)
        if parsed.trace:
            from ssft.hwmodel.report import trace

            progress.stage(f"writing {parsed.trace}")
            write_text(parsed.trace, json.dumps(trace(simulation), separators=(",", ":")))
        if parsed.csv:
            from ssft.hwmodel.report import commands_csv, operations_csv

            progress.stage(f"writing {parsed.csv}")
            made = commands_csv if parsed.csv_rows == "commands" else operations_csv
            write_text(parsed.csv, made(simulation))
        if parsed.html:
            from ssft.hwmodel.report.html import render

            progress.stage(f"writing {parsed.html}")
            write_text(parsed.html, render(simulation, found))
        if parsed.json and parsed.json != "-":
            write_text(parsed.json, json.dumps(found, indent=1) + "\n")
    if parsed.json == "-":
        print(json.dumps(found, indent=1))
    elif not parsed.quiet:
        from ssft.runtime.tools.hw.tables import show

        show(found, parsed.top, notes=True)
    return 0
