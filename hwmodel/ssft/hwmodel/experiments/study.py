"""What an experiment found: a table, a chart, and whether what was expected was seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a study's table; `unit` is ``%``, ``B``, ``s``, ``J``, ``MAC``, ``x`` or text."""

    key: str
    heading: str
    unit: str


@dataclass(frozen=True, slots=True)
class Expectation:
    """What was expected before the experiment, what was found, and whether they agree."""

    expected: str
    found: str
    seen: bool


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a chart; `dashed` for what is calculated, not simulated."""

    name: str
    points: tuple[tuple[float, float], ...]
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over one axis. Axes are logarithmic where `log_x` and `log_y` say so."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    log_x: bool = True
    log_y: bool = False


@dataclass(frozen=True, slots=True)
class Study:
    """The outcome of an experiment. `rows` are keyed by the columns' keys.

    `subject` says what was run on which machine; `denominators` what ratios are ratios of.
    """

    name: str
    title: str
    subject: str
    columns: tuple[Column, ...]
    rows: tuple[dict[str, Any], ...]
    chart: Chart
    expectations: tuple[Expectation, ...]
    denominators: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The study as JSON can hold it."""
        return asdict(self)


def ratio(above: float, below: float) -> float:
    """above / below; 0 where both are nothing."""
    return above / below if below else 0.0


def by_density(rows: Sequence[dict[str, Any]], key: str) -> tuple[tuple[float, float], ...]:
    """(density, value of a column) of rows."""
    return tuple((row["density"], row[key]) for row in rows)
