"""``ssftc --moments`` and ``--master-weights``: what half-precision weights are updated with."""

from __future__ import annotations

import pytest

from ssft.compiler.plan_schema import read_signature
from ssft.compiler.tools.ssftc import main
from ssft.dialects import new_context
from ssft.dialects._mlir import ir

HALF = ("return Net()", "return Net().bfloat16()")


def states(plan) -> dict[str, str]:
    """The element types of the states of one parameter."""
    signature = read_signature(ir.Module.parse(plan.read_text(), new_context()))
    return {key: tiles[0].dtype for key, tiles in signature.states_of("first.weight").items()}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), {"exp_avg": "bf16", "exp_avg_sq": "bf16"}),
        (("--moments", "f32"), {"exp_avg": "f32", "exp_avg_sq": "f32"}),
        (
            ("--moments", "f32", "--master-weights"),
            {"exp_avg": "f32", "exp_avg_sq": "f32", "master_remainder": "f32"},
        ),
    ],
)
def test_types_of_states(write_model, tmp_path, options, expected):
    plan = tmp_path / "plan.mlir"
    assert main([str(write_model(HALF)), "-o", str(plan), *options]) == 0
    assert states(plan) == expected


def test_masters_need_wide_moments(capsys, write_model, tmp_path):
    plan = str(tmp_path / "plan.mlir")
    assert main([str(write_model(HALF)), "-o", plan, "--master-weights"]) == 1
    error = capsys.readouterr().err
    assert "master weights need moments in f32" in error
    assert "--moments f32 --master-weights" in error
