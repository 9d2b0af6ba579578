"""What a command reads and writes: no output may overwrite an input, or another output."""

from __future__ import annotations

import argparse
from pathlib import Path

from ssft.compiler.diagnostics import UserError

INPUTS = ("input", "first", "second", "model")
OUTPUTS = ("output", "asm", "html", "trace", "csv", "json", "plot")


def check_files(parsed: argparse.Namespace) -> None:
    """Raises `UserError` if an output is one of the inputs, a plan's weights, or another output."""
    read: dict[Path, str] = {}
    for name in INPUTS:
        value = getattr(parsed, name, None)
        if isinstance(value, str):
            path = Path(value).resolve()
            read[path] = value
            read[path.with_suffix(".safetensors")] = f"the weights of {value}"
    machines = getattr(parsed, "machine", None)
    for value in machines if isinstance(machines, list) else [machines]:
        if isinstance(value, str) and value.endswith(".toml"):
            read[Path(value).resolve()] = value
    written: dict[Path, str] = {}
    printable = ("json", "output") if parsed.handler.endswith(":disassemble") else ("json",)
    for name in OUTPUTS:
        value = getattr(parsed, name, None)
        if not isinstance(value, str) or (value == "-" and name in printable):
            continue
        path = Path(value).resolve()
        option = "-o" if name == "output" else f"--{name}"
        if value == "-":
            raise UserError(f"{option} cannot write to stdout", notes=["name a file"], exit_code=2)
        if path in read:
            raise UserError(
                f"{option} {value} would overwrite {read[path]}, which is read",
                notes=["choose another name"],
                exit_code=2,
            )
        if path in written:
            raise UserError(f"{option} and {written[path]} are the same file", exit_code=2)
        written[path] = option
