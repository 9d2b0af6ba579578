"""A published table beside the same table computed: rows, tolerances, what is not met."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Row:
    """One figure. `published` is None where a run was out of memory, `capacity` what it had.

    `checked`: whether the figure counts; the others are shown for comparison. `more` holds other
    computed readings of the same figure by column title.
    """

    label: str
    published: float | None
    computed: float
    checked: bool = True
    capacity: float | None = None
    more: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A published table or figure beside its computed twin.

    `tolerance` is of the relative error if `relative`, otherwise of the difference; with `decimals`
    computed figures are rounded before they are compared. `unmet` names rows that are known to lie
    outside; `assumptions` and `remarks` are sentences. `reference` says what the figures are:
    ``"published"``, or ``"derived"`` where no paper prints them.
    """

    name: str
    title: str
    source: str
    unit: str
    tolerance: float
    relative: bool
    rows: tuple[Row, ...]
    assumptions: tuple[str, ...]
    unmet: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    decimals: int | None = None
    reference: str = "published"

    def error(self, row: Row) -> float | None:
        """Computed against published: a difference, or that over the published figure."""
        if row.published is None:
            return None
        rounded = row.computed if self.decimals is None else round(row.computed, self.decimals)
        difference = rounded - row.published
        return difference / row.published if self.relative else difference

    def within(self, row: Row) -> bool:
        """Whether a figure is met; out of memory is met by more than the capacity."""
        error = self.error(row)
        if error is None:
            return row.capacity is None or row.computed > row.capacity
        # Both are decimal fractions: a difference of exactly the tolerance must not fail by an ulp.
        return abs(error) <= self.tolerance + 1e-12

    def outside(self) -> list[str]:
        """Labels of the checked rows that are not met."""
        return [row.label for row in self.rows if row.checked and not self.within(row)]

    @property
    def ok(self) -> bool:
        """Whether nothing lies outside but what is known to."""
        return set(self.outside()) <= set(self.unmet)

    def to_json(self) -> dict[str, Any]:
        """The table as plain data, with errors and verdicts."""
        rows = [
            {
                "label": row.label,
                "published": row.published,
                "computed": row.computed,
                "error": self.error(row),
                "within": self.within(row),
                "checked": row.checked,
                **({"more": dict(row.more)} if row.more else {}),
            }
            for row in self.rows
        ]
        keys = ("name", "title", "source", "unit", "tolerance", "relative", "decimals", "reference")
        lists = ("assumptions", "unmet", "remarks")
        return {
            **{key: getattr(self, key) for key in keys},
            **{key: list(getattr(self, key)) for key in lists},
            "outside": self.outside(),
            "ok": self.ok,
            "rows": rows,
        }


def load(name: str) -> dict[str, Any]:
    """Returns the published side of a table: a TOML file of this package's data."""
    return tomllib.loads((_DATA / f"{name}.toml").read_text(encoding="utf-8"))


def build(
    name: str, data: Mapping[str, Any], rows: list[Row], remarks: list[str] | None = None
) -> Table:
    """Returns the table whose head is in `data` and whose computed rows are `rows`."""
    return Table(
        name=name,
        title=data["title"],
        source=data["source"],
        unit=data["unit"],
        tolerance=data["tolerance"],
        relative=data["relative"],
        rows=tuple(rows),
        assumptions=tuple(data["assumptions"]),
        unmet=tuple(data.get("unmet", ())),
        decimals=data.get("decimals"),
        reference=data.get("reference", "published"),
        remarks=tuple([*data.get("remarks", ()), *(remarks or ())]),
    )
