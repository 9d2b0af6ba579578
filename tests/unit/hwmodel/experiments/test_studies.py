"""The experiments' verdicts follow their figures, and their charts show them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from ssft.hwmodel.config import load_machine
from ssft.hwmodel.experiments import (
    LinearLayer,
    Study,
    density_study,
    layer_density_study,
    layout_study,
    masks_study,
)
from ssft.hwmodel.experiments.measure import run_layer
from ssft.hwmodel.experiments.plot import chart_svg, study_html, ticks

LAYER = LinearLayer(16384, 4096, 4096)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module", params=["ssft-server", "ssft-a100area"])
def machine(request: pytest.FixtureRequest):
    return load_machine(request.param)


def test_unstructured_masks_move_more(machine):
    study = masks_study(LAYER, machine, (0.05,))
    assert [e.seen for e in study.expectations] == [True, True]
    rows = {row["mask"]: row for row in study.rows}
    moved = rows["unstructured"]["update_bytes"] / rows["rows"]["update_bytes"]
    assert rows["unstructured"]["bytes_ratio"] == moved
    # In f32, a burst of 64 bytes has 16 elements; it moves if any of them is selected.
    assert moved == pytest.approx((1 - 0.95**16) / 0.05, rel=0.01)
    assert rows["unstructured"]["macs"] == 3 * LAYER.macs


def test_columns_stored_as_rows_are_gathered_fast(machine):
    study = layout_study(LAYER, machine, (0.05, 0.2))
    assert [e.seen for e in study.expectations] == [True]
    slow = [row["gather_ratio"] for row in study.rows if row["layout"] == "row-major"]
    assert slow[0] > 10 > slow[1], "neighbouring columns share bursts as density grows"


def test_density_follows_the_law(machine):
    study = layer_density_study(LAYER, machine, densities=(0.01, 0.1, 1.0))
    assert all(e.seen for e in study.expectations)
    for row in study.rows:
        assert 0.99 * row["law"] <= row["tensor_speed_up"] <= 1.005 * row["law"]
    assert study.rows[-1]["step_speed_up"] == 1


def test_what_is_not_seen_is_said():
    """A machine whose tensor unit gains more than it should would be found out."""
    machine = load_machine("ssft-a100area")
    dense = run_layer(LAYER, "rows", 1.0, machine)

    def run(density: float) -> dict[str, Any]:
        found = run_layer(LAYER, "rows", density, machine)
        if density < 1:
            found["units"]["tensor"]["busy"] = dense["units"]["tensor"]["busy"] // 2
            found["phases"]["forward"]["cycles"] //= 4
            found["seconds"] = 2 * dense["seconds"]
        return found

    study = density_study(run, "a wrong model", (0.1, 1.0))
    assert [e.seen for e in study.expectations] == [False, False, False]
    assert "NOT SEEN" in study_html(study)


@pytest.fixture(scope="module")
def study() -> Study:
    return layout_study(LAYER, load_machine("ssft-a100area"), (0.05, 0.2))


def test_the_chart_shows_every_point(study: Study):
    root = ET.fromstring(chart_svg(study.chart))
    shown = [title.text for title in root.iter(f"{SVG}title")]
    expected = [
        f"{series.name}: {y:.3g} at {100 * x:g} %"
        for series in study.chart.series
        for x, y in series.points
    ]
    assert shown == expected
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for circle in root.iter(f"{SVG}circle"):
        assert 0 < float(circle.get("cx", -1)) < width
        assert 0 < float(circle.get("cy", -1)) < height
    assert json.loads(json.dumps(study.to_json()))["name"] == "E9"


@pytest.mark.parametrize(
    ("low", "high", "log", "expected"),
    [
        (0.005, 1.0, True, [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1]),
        (3.0, 12.0, True, [2, 5, 10, 20]),
        (1.0, 1.5, False, [1, 1.1, 1.2, 1.3, 1.4, 1.5]),
        (1.0, 1.0, False, [1.0]),
    ],
)
def test_ticks_enclose(low: float, high: float, log: bool, expected: list[float]):
    assert ticks(low, high, log) == pytest.approx(expected)
