"""Experiment E8: structured against unstructured masks at equal density."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from ssft.hwmodel.config import Machine
from ssft.hwmodel.experiments.layer import LinearLayer, Mask
from ssft.hwmodel.experiments.measure import Figures, figures, run_layer
from ssft.hwmodel.experiments.study import (
    Chart,
    Column,
    Expectation,
    Series,
    Study,
    by_density,
    ratio,
)

DENSITIES = (0.01, 0.02, 0.05, 0.1, 0.2)
COMPARED: tuple[Mask, ...] = ("rows", "unstructured", "unstructured_packed")
LEAST, MOST, FALSE = 5.0, 20.0, 2.0

COLUMNS = (
    Column("density", "density", "%"),
    Column("mask", "mask", "text"),
    Column("macs", "MACs", "MAC"),
    Column("update_bytes", "update moves", "B"),
    Column("bytes_ratio", "/ rows", "x"),
    Column("list_bytes", "lists", "B"),
    Column("mask_seconds", "dW + update", "s"),
    Column("mask_ratio", "/ rows", "x"),
    Column("seconds", "step", "s"),
    Column("step_ratio", "/ rows", "x"),
    Column("joules", "energy", "J"),
    Column("energy_ratio", "/ rows", "x"),
)


def masks_study(
    layer: LinearLayer,
    machine: Machine,
    densities: Sequence[float] = DENSITIES,
    density: float = 0.05,
    progress: Callable[[str], None] = lambda text: None,
) -> Study:
    """Runs the layer under each mask; expectations are held against `density`."""
    rows = []
    for value in sorted({*densities, density}):
        found: dict[Mask, Figures] = {}
        for mask in COMPARED:
            progress(f"{mask} at {value:.3g}")
            found[mask] = figures(run_layer(layer, mask, value, machine))
        base = found["rows"]
        rows += [
            {
                "density": value,
                "mask": mask,
                "bytes_ratio": ratio(f.update_bytes, base.update_bytes),
                "mask_ratio": ratio(f.mask_seconds, base.mask_seconds),
                "step_ratio": ratio(f.seconds, base.seconds),
                "energy_ratio": ratio(f.joules, base.joules),
                **asdict(f),
            }
            for mask, f in found.items()
        ]
    at = next(r for r in rows if r["density"] == density and r["mask"] == "unstructured")
    return Study(
        name="E8",
        title="structured against unstructured masks at equal density",
        subject=f"linear layer {layer}, machine {machine.name}",
        columns=COLUMNS,
        rows=tuple(rows),
        chart=_chart(rows),
        expectations=_expectations(at, density),
        denominators=(
            "every ratio is over 'rows' at the same density, on the same machine and layer",
            "update moves: whole DRAM bursts of weight and moments, read and written",
            "dW + update: what the critical path spends in the two phases that a mask changes",
        ),
        notes=(
            "unstructured: the gradient is computed whole, and weight and moments are gathered from"
            " dense matrices; packed: the moments lie in lists of what trains",
        ),
    )


def _chart(rows: list[dict[str, Any]]) -> Chart:
    lines = [
        Series(
            f"{mask.replace('_', ', ')}: {what}",
            by_density([row for row in rows if row["mask"] == mask], key),
        )
        for key, what in (("bytes_ratio", "bytes of the update"),
                          ("mask_ratio", "time of dW and update"))
        for mask in COMPARED[1:]
    ]  # fmt: skip
    title = "unstructured masks over rows, at equal density"
    return Chart(title, "density", "ratio to rows", tuple(lines), log_y=True)


def _expectations(row: dict[str, float], density: float) -> tuple[Expectation, ...]:
    moved, time = row["bytes_ratio"], row["mask_ratio"]
    where = f"at {100 * density:g} %"
    return (
        Expectation(
            f"{LEAST:g} to {MOST:g} times the bytes {where}; the model is wrong below {FALSE:g}",
            f"{moved:.1f} times",
            LEAST <= moved <= MOST,
        ),
        Expectation(
            f"much longer in the phases that the mask changes: at least {FALSE:g} times {where}",
            f"{time:.1f} times",
            time >= FALSE,
        ),
    )
