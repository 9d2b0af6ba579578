"""``--help``, ``--list-passes``, ``--show-dialects`` and ``--version`` of `ssft-opt`."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import re
from importlib import metadata

from ssft.compiler.passes.registry import load_all
from ssft.compiler.pipelines.collect import DiagnosticCollector
from ssft.compiler.pipelines.text import option_name, option_types
from ssft.compiler.tools.opt_arguments import OPTIONS, Option
from ssft.dialects import new_context
from ssft.dialects._mlir import ir

_WIDTH = 46


def help_text() -> str:
    """Returns the text of ``--help``."""
    lines = [
        "usage: ssft-opt [options] [input file]",
        "",
        "Reads MLIR (text or bytecode; standard input by default), runs passes, writes MLIR.",
        "Options may have one dash or two.",
        "",
        "options:",
        *(_line(_spelling(option), option.help) for option in OPTIONS),
        "",
        "passes, each with its options, run in the order given; passes of MLIR work as well:",
        *_passes(),
    ]
    return "\n".join(lines)


def list_passes() -> str:
    """Returns our passes with their options, one a line."""
    return "\n".join(["Passes:", *_passes()])


def show_dialects() -> str:
    """Returns the names of all dialects that can be read."""
    context = new_context()
    with DiagnosticCollector(context) as collector, contextlib.suppress(ir.MLIRError):
        ir.Module.parse("no_such_dialect.op", context=context)
    text = "".join(note.message for error in collector.errors for note in error.notes)
    listing = text.replace(" (*)", "").removeprefix("Available dialects: ")
    names = re.findall(r"\w+", re.split(r"[^\w, ]", listing, maxsplit=1)[0])
    return "Available Dialects: " + ", ".join(sorted({*names, "ssft", "torch", "torch_c"}))


def version() -> str:
    """Returns our version and that of the MLIR bindings."""
    return f"ssft-opt {_version('ssft')}, torch-mlir {_version('torch-mlir')}"


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _spelling(option: Option) -> str:
    dash = "-" if len(option.name) == 1 else "--"
    if option.value is None:
        return dash + option.name
    if option.implied is not None:
        return f"{dash}{option.name}[={option.value}]"
    return f"{dash}{option.name}{' ' if option.name == 'o' else '='}{option.value}"


def _passes() -> list[str]:
    lines = []
    for flag, pass_ in load_all().items():
        summary = (inspect.getdoc(pass_) or "").partition("\n")[0]
        lines.append(_line(f"--{flag}", summary))
        kinds = option_types(pass_)
        for field in dataclasses.fields(pass_):
            default = "" if field.default is dataclasses.MISSING else f" (default: {field.default})"
            spelling = f"  {option_name(field.name)}=<{kinds[field.name].__name__}>"
            lines.append(_line(spelling, field.metadata.get("help", "") + default))
    return lines


def _line(left: str, right: str) -> str:
    return f"  {left:<{_WIDTH}} {right}".rstrip()
