"""Experiment E9: column masks on weights stored by rows and stored transposed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

from ssft.hwmodel.config import Machine
from ssft.hwmodel.experiments.layer import LinearLayer
from ssft.hwmodel.experiments.measure import figures, run_layer
from ssft.hwmodel.experiments.study import (
    Chart,
    Column,
    Expectation,
    Series,
    Study,
    by_density,
    ratio,
)

DENSITIES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
LEAST = 10.0

COLUMNS = (
    Column("density", "density", "%"),
    Column("layout", "columns stored", "text"),
    Column("gather_bytes", "gather moves", "B"),
    Column("bytes_ratio", "ratio", "x"),
    Column("gather_seconds", "gather takes", "s"),
    Column("gather_ratio", "ratio", "x"),
    Column("mask_seconds", "dW + update", "s"),
    Column("mask_ratio", "ratio", "x"),
    Column("seconds", "step", "s"),
    Column("step_ratio", "ratio", "x"),
)
RATIOS = {"gather_bytes": "bytes_ratio", "gather_seconds": "gather_ratio",
          "mask_seconds": "mask_ratio", "seconds": "step_ratio"}  # fmt: skip


def layout_study(
    layer: LinearLayer,
    machine: Machine,
    densities: Sequence[float] = DENSITIES,
    density: float = 0.05,
    progress: Callable[[str], None] = lambda text: None,
) -> Study:
    """Runs the layer with both layouts; expectations are held against `density`."""
    rows = []
    for value in sorted({*densities, density}):
        progress(f"density {value:.3g}")
        transposed = asdict(figures(run_layer(layer, "columns_transposed", value, machine)))
        row_major = asdict(figures(run_layer(layer, "columns_row_major", value, machine)))
        for layout, found in (("as rows", transposed), ("row-major", row_major)):
            ratios = {name: ratio(found[key], transposed[key]) for key, name in RATIOS.items()}
            rows.append({"density": value, "layout": layout, **found, **ratios})
    slow = [row for row in rows if row["layout"] == "row-major"]
    at = next(row for row in slow if row["density"] == density)
    return Study(
        name="E9",
        title="column masks: weights stored transposed against row-major",
        subject=f"linear layer {layer}, machine {machine.name}",
        columns=COLUMNS,
        rows=tuple(rows),
        chart=Chart(
            "row-major over transposed, for column masks",
            "density",
            "ratio to columns stored as rows",
            (
                Series("time of gather and scatter", by_density(slow, "gather_ratio")),
                Series("bytes of gather and scatter", by_density(slow, "bytes_ratio")),
                Series("time of dW and update", by_density(slow, "mask_ratio")),
            ),
            log_y=True,
        ),
        expectations=(
            Expectation(
                f"gather and scatter take at least {LEAST:g} times as long at {100 * density:g} %",
                f"{at['gather_ratio']:.1f} times",
                at["gather_ratio"] >= LEAST,
            ),
        ),
        denominators=("every ratio is over columns stored as rows, at the same density",),
        notes=(
            "the moments are packed in both; the ratio falls with density, because neighbouring"
            " columns then share DRAM bursts",
        ),
    )
