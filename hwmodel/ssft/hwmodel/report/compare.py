"""Two reports side by side, with the denominator of every ratio named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ssft.hwmodel.isa.program import PURPOSES

Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of both reports. `ratio` is `second` / `first`; None where `first` is 0."""

    figure: str
    unit: str
    first: float
    second: float

    @property
    def ratio(self) -> float | None:
        """The second report's figure over the first one's."""
        return self.second / self.first if self.first else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Figures of two reports; `first` is the denominator of all ratios.

    `speed_up` and `energy_gain` are the first one's seconds and joules over the second one's.
    `notes` say in which respects the two are not comparable.
    """

    first: str
    second: str
    rows: tuple[Row, ...]
    speed_up: float | None
    energy_gain: float | None
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The comparison as a dict that JSON can hold."""
        return {
            "first": self.first,
            "second": self.second,
            "ratios": f"{self.second} / {self.first}",
            "speed_up": self.speed_up,
            "energy_gain": self.energy_gain,
            "notes": list(self.notes),
            "rows": [
                {
                    "figure": row.figure,
                    "unit": row.unit,
                    "first": row.first,
                    "second": row.second,
                    "ratio": row.ratio,
                }
                for row in self.rows
            ],
        }


def compare(first: Report, second: Report, names: tuple[str, str] | None = None) -> Comparison:
    """Compares two reports; `names` tell them apart, by default those of their machines."""
    labels = names or (_label(first, "A"), _label(second, "B"))
    rows = tuple(
        Row(figure, unit, value, after)
        for (figure, unit, value), (_, _, after) in zip(
            figures(first), figures(second), strict=True
        )
    )
    return Comparison(
        first=labels[0],
        second=labels[1],
        rows=rows,
        speed_up=_over(first["seconds"], second["seconds"]),
        energy_gain=_over(first["energy_joules"], second["energy_joules"]),
        notes=tuple(_notes(first, second)),
    )


def figures(report: Report) -> list[tuple[str, str, float]]:
    """(name, unit, value) of the figures that are compared; the same names for every report."""
    found = [
        ("time", "s", report["seconds"]),
        ("cycles", "cycles", report["cycles"]),
        ("energy", "J", report["energy_joules"]),
        ("average power", "W", report["average_watts"]),
    ]
    frequency = report["machine"]["frequency"]
    for phase, part in report["phases"].items():
        found += [
            (f"{phase}: time", "s", part["cycles"] / frequency),
            (f"{phase}: multiply-adds", "MAC", part["macs"]),
            (f"{phase}: DRAM bytes", "B", part["dram_bytes"]),
            (f"{phase}: energy", "J", part["energy_joules"]),
        ]
    found += [(f"multiply-adds {kind}", "MAC", n) for kind, n in report["macs"].items()]
    for kind in ("dram_bytes", "dram_moved_bytes"):
        moved = " moved" if kind == "dram_moved_bytes" else ""
        for direction, purposes in report[kind].items():
            found.append((f"DRAM bytes{moved}, {direction}", "B", sum(purposes.values())))
            found += _by_purpose(f"DRAM bytes{moved}, {direction}", purposes)
    for direction, purposes in report["spm_bytes_by_purpose"].items():
        found.append((f"scratchpad bytes, {direction}", "B", sum(purposes.values())))
        found += _by_purpose(f"scratchpad bytes, {direction}", purposes)
    found += [
        ("DRAM bytes beyond those asked for", "B", _total(report["dram_overfetch_bytes"])),
        ("DRAM bursts", "bursts", report["dram_bursts"]),
        ("DRAM activates", "activates", report["dram_activates"]),
        ("entries of index lists", "entries", report["list_entries"]),
        ("rows updated", "rows", report["updated"]["rows"]),
        ("columns updated", "columns", report["updated"]["columns"]),
        ("waits for semaphores", "waits", report["semaphores"]["waits"]),
        ("posts of semaphores", "posts", report["semaphores"]["posts"]),
    ]
    for unit, time in report["units"].items():
        found.append((f"{unit} busy", "s", time["busy"] / frequency))
    found += [(f"energy of {part}", "J", n) for part, n in report["energy"]["by_component"].items()]
    found += [(f"utilisation of {part}", "1", n) for part, n in report["utilisation"].items()]
    found += [
        ("peak scratchpad", "B", report["peak_spm_bytes"]),
        ("peak DRAM", "B", report["peak_dram_bytes"]),
    ]
    return found


def _total(traffic: dict[str, dict[str, int]]) -> int:
    return sum(sum(purposes.values()) for purposes in traffic.values())


def _by_purpose(name: str, purposes: dict[str, int]) -> list[tuple[str, str, float]]:
    return [(f"{name}: {purpose}", "B", purposes.get(purpose, 0)) for purpose in PURPOSES]


def _notes(first: Report, second: Report) -> list[str]:
    notes = []
    if first["machine"]["frequency"] != second["machine"]["frequency"]:
        notes.append("the clocks differ: compare seconds, not cycles")
    for key, text in (("executed", "executed"), ("masked", "saved by masks")):
        a, b = first["macs"][key], second["macs"][key]
        if a != b:
            notes.append(f"the work differs: {a} and {b} multiply-adds {text}")
    peaks = [report["machine"]["peak_flops"] for report in (first, second)]
    if peaks[0] != peaks[1]:
        notes.append(f"the peaks differ: {peaks[0]:.3e} and {peaks[1]:.3e} flop/s")
    rates = [report["machine"]["dram_bandwidth"] for report in (first, second)]
    if rates[0] != rates[1]:
        notes.append(f"DRAM bandwidths differ: {rates[0]:.3e} and {rates[1]:.3e} B/s")
    if first["program"]["precision"] != second["program"]["precision"]:
        notes.append("the precisions differ")
    for report in (first, second):
        overrides = report["machine"]["overrides"]
        if overrides:
            notes.append(f"{report['machine']['name']} was changed: {', '.join(overrides)}")
    return notes


def _label(report: Report, letter: str) -> str:
    return f"{letter} ({report['machine']['name']}, {report['program']['precision']})"


def _over(above: float, below: float) -> float | None:
    return above / below if below else None
