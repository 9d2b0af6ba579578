"""Experiment E10: how much faster a step gets as less of it trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from ssft.hwmodel.config import Machine
from ssft.hwmodel.experiments.layer import LinearLayer, Mask
from ssft.hwmodel.experiments.measure import Report, run_layer
from ssft.hwmodel.experiments.study import (
    Chart,
    Column,
    Expectation,
    Series,
    Study,
    by_density,
    ratio,
)

DENSITIES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
PRODUCTS = ("forward", "input_gradient", "weight_gradient")
SLACK = 1.005
"""Tiles of lanes fit some extents better than others."""
CLOSED_FORM_SLACK = 1.02
"""The closed form leaves fill and the overlap of phases out."""

COLUMNS = (
    Column("density", "density", "%"),
    Column("macs", "MACs", "MAC"),
    Column("ceiling", "MACs saved", "x"),
    Column("law", "3/(2+d)", "x"),
    Column("closed_form", "closed form", "x"),
    Column("tensor_speed_up", "tensor unit", "x"),
    Column("product_speed_up", "products", "x"),
    Column("step_speed_up", "step", "x"),
    Column("energy_gain", "energy", "x"),
    Column("seconds", "step", "s"),
    Column("bound", "longest busy", "text"),
)

Run = Callable[[float], Report]
"""From a density to the report of a step."""


def layer_density_study(
    layer: LinearLayer,
    machine: Machine,
    mask: Mask = "rows",
    densities: Sequence[float] = DENSITIES,
    judged: float | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Study:
    """The sweep for a linear layer."""
    subject = f"linear layer {layer}, {mask.replace('_', ' ')}, machine {machine.name}"
    return density_study(
        lambda value: run_layer(layer, mask, value, machine), subject, densities, judged, progress
    )


def density_study(
    run: Run,
    subject: str,
    densities: Sequence[float] = DENSITIES,
    judged: float | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Study:
    """The sweep for whatever `run` runs; density 1 is the denominator of all ratios.

    `judged` is the density whose figures are quoted; None for the lowest.
    """
    reports: dict[float, Report] = {}
    judged = min(densities) if judged is None else judged
    for value in sorted({*densities, judged, 1.0}):
        progress(f"density {value:.3g}")
        reports[value] = run(value)
    rows = [_row(value, found, reports[1.0]) for value, found in reports.items()]
    return Study(
        name="E10",
        title="density sweep",
        subject=subject,
        columns=COLUMNS,
        rows=tuple(rows),
        chart=Chart(
            "speed-up over training everything",
            "density",
            "speed-up",
            (
                Series("3 / (2 + density)", by_density(rows, "law"), dashed=True),
                Series("multiply-adds saved", by_density(rows, "ceiling"), dashed=True),
                Series("closed form of the products", by_density(rows, "closed_form"), dashed=True),
                Series("tensor unit's busy time", by_density(rows, "tensor_speed_up")),
                Series("time of the products", by_density(rows, "product_speed_up")),
                Series("time of the step", by_density(rows, "step_speed_up")),
            ),
        ),
        expectations=_expectations(rows, next(r for r in rows if r["density"] == judged)),
        denominators=(
            "every ratio is density 1 over the row's density, on the same machine",
            "products: what the critical path spends in forward, input and weight gradient",
            "closed form: the sum over these phases of the longer of compute and DMA",
            "step: with the optimizer, whose traffic falls with density, too",
        ),
        notes=_notes(rows),
    )


def _row(density: float, report: Report, dense: Report) -> dict[str, Any]:
    def products(found: Report) -> int:
        return sum(found["phases"][phase]["cycles"] for phase in PRODUCTS)

    def closed(found: Report) -> int:
        forms = (found["closed_form"]["phases"][phase] for phase in PRODUCTS)
        return sum(max(form["compute"], form["dma"]) for form in forms)

    return {
        "density": density,
        "macs": report["macs"]["executed"],
        "ceiling": ratio(dense["macs"]["executed"], report["macs"]["executed"]),
        "law": 3 / (2 + density),
        "closed_form": ratio(closed(dense), closed(report)),
        "tensor_speed_up": ratio(
            dense["units"]["tensor"]["busy"], report["units"]["tensor"]["busy"]
        ),
        "product_speed_up": ratio(products(dense), products(report)),
        "step_speed_up": ratio(dense["seconds"], report["seconds"]),
        "energy_gain": ratio(dense["energy_joules"], report["energy_joules"]),
        "seconds": report["seconds"],
        "bound": report["closed_form"]["busiest_unit"],
        "products_wait_for_dram": any(
            report["closed_form"]["phases"][phase]["dma"]
            > report["closed_form"]["phases"][phase]["compute"]
            for phase in PRODUCTS
        ),
    }


def _notes(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    found = []
    behind = [row for row in rows if row["product_speed_up"] < 0.9 * row["law"]]
    if any(row["products_wait_for_dram"] for row in behind):
        found.append(
            "products gain less than the tensor unit does where DRAM limits them: the weight"
            " gradient reads activations and their gradients whatever trains"
        )
    if not all(row["products_wait_for_dram"] for row in behind):
        found.append(
            "the phases of the products gain less than their multiply-adds: what else is in them"
            " (softmax, norms, activation functions, filling the units) does not depend on what"
            " trains"
        )
    if any(row["product_speed_up"] > SLACK * row["law"] for row in rows):
        found.append(
            "products gain more than 3/(2+d), which counts multiply-adds only: DRAM limits the"
            " dense weight gradient, which reads activations again for each of its blocks"
        )
    return tuple(found)


def _expectations(rows: list[dict[str, Any]], judged: dict[str, Any]) -> tuple[Expectation, ...]:
    most = max(row["tensor_speed_up"] / row["ceiling"] for row in rows)
    top = max(
        row["product_speed_up"] / max(SLACK * row["law"], CLOSED_FORM_SLACK * row["closed_form"])
        for row in rows
    )
    rising = all(a["step_speed_up"] >= b["step_speed_up"] / SLACK
                 for a, b in pairwise(rows))  # fmt: skip
    return (
        Expectation(
            "the tensor unit gains at most the multiply-adds saved",
            f"at most {most:.3f} of it",
            most <= SLACK,
        ),
        Expectation(
            "the products gain at most 3/(2+d), less overheads, unless DRAM limits them: then what "
            "the closed form says",
            f"{judged['product_speed_up']:.2f} times at {100 * judged['density']:g} %, where the "
            f"law says {judged['law']:.2f} and the closed form {judged['closed_form']:.2f}",
            top <= 1,
        ),
        Expectation("the step never gets slower as less trains", "never" if rising else "it does",
                    rising),
    )  # fmt: skip
