"""Numbers, bars and tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

PIPE_WIDTH = 160
"""Columns of tables that nobody's terminal limits."""
NARROW = 130
"""On terminals with fewer columns, tables leave some of theirs out."""

_SMALL = ("", "m", "u", "n", "p", "f")
_LARGE = ("", "k", "M", "G", "T", "P", "E")


def console() -> Console:
    """The console that tables go to: standard output as it is now."""
    out = Console(highlight=False, soft_wrap=False)
    return out if out.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


def si(value: float | None, unit: str = "", digits: int = 4) -> str:
    """A value with a decimal prefix, as in ``1.25 ms``; empty for None."""
    if value is None:
        return ""
    size, step, prefixes = abs(value), 0, _LARGE
    if size and size < 1 and unit:
        prefixes = _SMALL
        while size < 1 and step < len(prefixes) - 1:
            size, step, value = size * 1000, step + 1, value * 1000
    else:
        while size >= 1000 and step < len(prefixes) - 1:
            size, step, value = size / 1000, step + 1, value / 1000
    return f"{value:.{digits}g} {prefixes[step]}{unit}".rstrip()


def binary(value: int) -> str:
    """A number of bytes with a binary prefix."""
    size = float(value)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            return f"{size:.4g} {unit}"
        size /= 1024
    raise AssertionError("unreachable")


def percent(value: float | None) -> str:
    """A share of 1."""
    return "" if value is None else f"{100 * value:.1f} %"


def bar(share: float, width: int = 20) -> str:
    """A bar as long as a share of 1."""
    eighths = round(max(0.0, min(share, 1.0)) * width * 8)
    return "█" * (eighths // 8) + ("▏▎▍▌▋▊▉"[eighths % 8 - 1] if eighths % 8 else "")


def stacked(shares: Sequence[float], glyphs: Sequence[tuple[str, str]], width: int = 32) -> str:
    """A bar of several parts, with markup: each part's glyph and style. Shares add up to 1."""
    ends, total = [], 0.0
    for share in shares:
        total += share
        ends.append(round(total * width))
    starts = [0, *ends[:-1]]
    return "".join(
        f"[{style}]{glyph * (end - start)}[/]"
        for start, end, (glyph, style) in zip(starts, ends, glyphs, strict=True)
        if end > start
    )


def interval(first: int, last: int, total: int, width: int = 24) -> str:
    """Where positions `first` to `last` of `total` lie, as a bar."""
    if total <= 0:
        return ""
    start = min(first * width // total, width - 1)
    end = max(start + 1, min(width, -(-(last + 1) * width // total)))
    return "·" * start + "█" * (end - start) + "·" * (width - end)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table. The first column, and those whose heading starts with ``<``, are left-aligned.

    Columns whose heading starts with ``~`` are left out on narrow terminals.
    """
    narrow = console().width < NARROW
    kept = [i for i, heading in enumerate(columns) if not (narrow and heading.startswith("~"))]
    made = Table(title=title, title_justify="left", title_style="bold",
                 box=box.SIMPLE_HEAD if narrow else box.HEAVY_HEAD)  # fmt: skip
    for number in kept:
        heading = columns[number].removeprefix("~")
        left = number == 0 or heading.startswith("<")
        made.add_column(
            escape(heading.removeprefix("<")),
            justify="left" if left else "right",
            overflow="fold",
            no_wrap=not left,
            min_width=16 if narrow and number == 0 else None,
        )
    for row in rows:
        made.add_row(*(row[i] for i in kept))
    return made


def shortened(location: str, parts: int = 2) -> str:
    """The last parts of a path."""
    return "/".join(location.split("/")[-parts:])
