"""What the tools show on a terminal: progress, tables, errors. Everything goes to stderr."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table

from ssft.compiler.byte_sizes import readable, told_apart
from ssft.compiler.diagnostics import UserError

_console = Console(stderr=True, highlight=False)


class Progress:
    """Shows the current stage: a spinner on a terminal, a line a stage elsewhere."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled
        self._status: Status | None = None

    def __enter__(self) -> Progress:
        if self._enabled and _console.is_terminal:
            self._status = _console.status("starting")
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._status:
            self._status.stop()

    def stage(self, description: str) -> None:
        """Announces what happens from now on."""
        if self._status:
            self._status.update(escape(description))
        elif self._enabled:
            _console.print(escape(description))


def print_error(error: UserError, tool: str) -> None:
    """Prints a user error with its notes."""
    for line in error.render(tool).splitlines():
        text = escape(line)
        for kind, style in (("error", "bold red"), ("note", "cyan")):
            text = text.replace(f": {kind}: ", f": [{style}]{kind}:[/{style}] ", 1)
        _console.print(text, soft_wrap=True)


def report_tables(report: dict[str, Any]) -> None:
    """Prints a plan's cost report: what trains, and FLOPs and bytes beside the dense step's."""
    trainable, total = report["trainable_parameters"], report["total_parameters"]
    _console.print(
        f"{report['method']}: {trainable:,} of {total:,} parameters train "
        f"({100 * trainable / max(total, 1):.2f} %), in {len(report['masks'])} tensors"
    )
    for title, key, unit in (("FLOPs", "flops", _count), ("memory", "memory_bytes", _bytes)):
        table = Table(title=title, title_justify="left")
        for column in ("", "this plan", "dense", "ratio"):
            table.add_column(column, justify="left" if not column else "right")
        dense = report["dense"].get(key, {})
        rows = dict(report[key])
        if key == "flops":
            rows["total"] = sum(rows.values())
            dense = dense | {"total": sum(dense.values())}
        for name, value in rows.items():
            reference = dense.get(name)
            ratio = f"{value / reference:.3f}" if reference else ""
            table.add_row(name.replace("_", " "), unit(value), unit(reference), ratio)
        _console.print(table)
    for remark in report["remarks"]:
        _console.print(f"remark: {escape(remark)}")


def checkpointing_line(found: Mapping[str, Any]) -> None:
    """Says in one line what is computed again, what that saves, and what a step takes."""
    saved, budget, total = found["saved_activations"], found["memory_budget"], found["cpu"]["total"]
    peak = _bytes(total) if budget is None else " of ".join(told_apart(total, budget))
    again = f"{_count(found['recomputed_flops'])} FLOPs done again, saved activations "
    change = f"{again}{_bytes(saved['before'])} -> {_bytes(saved['after'])}"
    done = "everything saved is kept" if found["mode"] == "none" else change
    _console.print(f"checkpoint {found['mode']}: {done}, peak on the CPU {peak}", soft_wrap=True)


def _count(value: float | None) -> str:
    if value is None:
        return ""
    unit = ""
    for larger in "kMGTP":
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.4g} {unit}".rstrip()


def _bytes(value: int | None) -> str:
    return "" if value is None else readable(value)
