"""Groups of ranks, and the links that they use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssft.compiler.cost_model.parallel import Layout, parse_links
from ssft.compiler.cost_model.parallel.layout import DIMENSIONS
from ssft.compiler.cost_model.parallel.links import link_of
from ssft.compiler.cost_model.parallel.sweep import parse_sweep, points
from ssft.compiler.cost_model.parallel.traffic import Transfer, seconds
from ssft.compiler.diagnostics import UserError

THREE_LEVELS = parse_links("package=200e9:2,node=50e9:8,network=25e9")


def names(layout: Layout) -> list[str]:
    found = (link_of(THREE_LEVELS, layout, dimension) for dimension in DIMENSIONS)
    return [link.name for link in found if link]


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        # In the order tensor, data, pipeline: the ranks among which a group lies multiply up.
        (Layout(tensor=2, data=4, pipeline=4), ["package", "node", "network"]),
        (Layout(tensor=8, data=4), ["node", "network", "network"]),
        (Layout(data=2), ["package", "package", "package"]),
        (Layout(tensor=16), ["network", "network", "network"]),
        # Three do not divide the eight of a node: some group crosses its border.
        (Layout(tensor=3, data=6), ["network", "network", "network"]),
        # Unless there are no more ranks than a node has.
        (Layout(tensor=3, data=2), ["node", "node", "node"]),
    ],
)
def test_nearest_link_that_joins_a_group(layout: Layout, expected: list[str]):
    assert names(layout) == expected


def test_time_is_by_link():
    layout = Layout(tensor=2, data=16)
    sends = [
        Transfer("activations", "tensor", "all-reduce", 1e9, 2, count=3),
        Transfer("gradients", "data", "reduce-scatter", 16e9, 16),
    ]
    assert seconds(sends, layout, THREE_LEVELS) == pytest.approx(3e9 / 200e9 + 15e9 / 25e9)
    assert seconds(sends, layout, ()) is None
    assert link_of((), layout, "data") is None


@given(st.integers(1, 90), st.integers(1, 12))
def test_stages_share_the_layers(layers: int, pipeline: int):
    stages = Layout(pipeline=pipeline).stage_layers(layers)
    assert [layer for stage in stages for layer in stage] == list(range(layers))
    sizes = [len(stage) for stage in stages]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data": 0}, "data 0 is not at least 1"),
        ({"zero": 4}, "no ZeRO stage 4"),
        ({"schedule": "chimera"}, "no schedule 'chimera'"),
    ],
)
def test_impossible_layout_is_refused(settings: dict, message: str):
    with pytest.raises(UserError, match=message):
        Layout(**settings)


def test_sweep_combines_settings():
    sweeps = [parse_sweep("data=1,2"), parse_sweep("zero=0,3")]
    assert [tuple(point.values()) for point in points(sweeps)] == [(1, 0), (1, 3), (2, 0), (2, 3)]
    assert list(points([])) == [{}]
