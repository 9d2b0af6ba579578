"""The report's counts, on plans small enough to count by hand."""

from __future__ import annotations

import json

import pytest

from ssft.compiler.analysis.step import find_step
from ssft.compiler.plan_schema import ArgumentInfo, Mask, read_signature
from ssft.compiler.report import build_report, step_cost, trainable_elements
from ssft.dialects import new_context
from ssft.dialects._mlir import ir

TEXT = """
module attributes {
    ssft.method = "rows",
    ssft.permutations = {a3 = {size = 6 : i64, front = array<i64: 2>}}
} {
  func.func @step(
      %w: tensor<4x6xf32> {ssft.role = "trainable", ssft.name = "w",
                           ssft.mask = {rows = array<i64: 1, 3>, combine = "intersection"}},
      %b: tensor<4xbf16> {ssft.role = "trainable", ssft.name = "b"},
      %e: tensor<9x6xf32> {ssft.role = "frozen", ssft.name = "e"},
      %x: tensor<3x6xf32> {ssft.role = "input", ssft.name = "x"}
  ) -> (tensor<4x6xf32> {ssft.updates_arg = 0 : i64}, tensor<4xbf16> {ssft.updates_arg = 1 : i64}) {
    return %w, %b : tensor<4x6xf32>, tensor<4xbf16>
  }
}
"""


@pytest.fixture
def module():
    with new_context(), ir.Location.unknown():
        yield ir.Module.parse(TEXT)


def test_report(module):
    step = find_step(module.operation)
    dense = {"flops": {}, "memory_bytes": {}}
    report = build_report(step, read_signature(module), dense, ["a remark"])
    assert report["method"] == "rows"
    assert report["trainable_parameters"] == 2 * 6 + 4
    assert report["total_parameters"] == 4 * 6 + 4 + 9 * 6
    assert report["masks"] == [
        {
            "name": "w",
            "shape": [4, 6],
            "rows": [1, 3],
            "columns": None,
            "combine": "intersection",
            "stored": {"rows": "gathered"},
        },
        {
            "name": "b",
            "shape": [4],
            "rows": None,
            "columns": None,
            "combine": "intersection",
            "stored": {},
        },
    ]
    assert report["permuted"] == {"a3": 6}
    assert report["remarks"] == ["a remark"]
    assert report["dense"] == dense
    assert report["memory_bytes"]["weights"] == 4 * (4 * 6 + 9 * 6) + 2 * 4
    assert json.loads(json.dumps(report)) == report


def test_cost_is_the_same_for_the_dense_step(module):
    step = find_step(module.operation)
    report = build_report(step, read_signature(module), {})
    assert step_cost(step) == {key: report[key] for key in ("flops", "memory_bytes")}


@pytest.mark.parametrize(
    ("mask", "elements"),
    [
        (None, 24),
        (Mask(rows=(1, 3)), 12),
        (Mask(columns=(0,)), 4),
        (Mask((0,), (1, 2)), 2),
        (Mask((0,), (1, 2), "union"), 6 + 3 * 2),
        (Mask((0, 1, 2, 3), (1,), "union"), 24),
        (Mask(rows=()), 0),
    ],
)
def test_trainable_elements(mask, elements):
    argument = ArgumentInfo(0, "trainable", "w", (4, 6), "f32", mask=mask)
    assert trainable_elements(argument) == elements
