"""Constants of a machine file: a number, its unit, and what speaks for it."""

from __future__ import annotations

from dataclasses import dataclass

LABELS: dict[str, str] = {
    "RUN": "measured or computed by running a tool",
    "SRC": "read in the source named",
    "2nd": "from a secondary source; may be wrong",
    "REC": "recalled from the literature; check before quoting",
    "INF": "inferred; the source says from what",
    "SET": "set by the user",
}
"""Evidence labels. ``SET`` is for overrides and is not written in files."""

Value = float | int | str | bool | tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant: `value` in `unit` (the schema's, whatever the file's spelling), and its evidence.

    `label` is one of `LABELS`; `source` is a sentence.
    """

    value: Value
    unit: str
    label: str
    source: str
