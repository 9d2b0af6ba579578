"""What passes count and remark, which reports and ``--mlir-pass-statistics`` show."""

from __future__ import annotations

import pytest

from ssft.compiler.pipelines.named import RECOGNISE, specialise
from ssft.compiler.pipelines.run import PipelineResult, run_pipeline
from ssft.compiler.recipes import Recipe
from ssft.dialects import new_context
from ssft.dialects._mlir import ir

from .two_layers import step_text


@pytest.fixture
def compile_step_text():
    """Runs all passes on the hand-written step; returns what both pipelines said."""
    alive = []

    def run(recipe: Recipe, gradients: bool = False) -> tuple[PipelineResult, PipelineResult]:
        with new_context(), ir.Location.unknown():
            alive.append(ir.Module.parse(step_text()))
        recognised = run_pipeline(alive[-1], RECOGNISE)
        return recognised, run_pipeline(alive[-1], specialise(recipe, gradients=gradients))

    return run


def test_recognising(compile_step_text):
    recognised, _ = compile_step_text(Recipe())
    assert recognised.statistics["ssft-fold-transposes"] == {
        "operands folded": 2,
        "results folded": 1,
    }
    assert recognised.statistics["ssft-form-updates"] == {"updates formed": 2}
    assert recognised.remarks == []


def test_s2ft(compile_step_text):
    _, found = compile_step_text(Recipe("s2ft", ratio=0.5), gradients=True)
    statistics = found.statistics
    assert statistics["ssft-select-masks"] == {"parameters frozen": 1, "parameters masked": 1}
    assert statistics["ssft-co-permute"] == {"dimensions made contiguous": 1, "axes permuted": 1}
    assert statistics["ssft-slice-updates"] == {
        "updates dropped": 1,
        "updates sliced": 1,
        "tiles": 1,
    }
    assert statistics["ssft-save-slices"] == {"slices saved": 1}
    assert statistics["ssft-expose-gradients"] == {"gradients exposed": 1}
    assert found.remarks == []


def test_union_of_what_the_caller_sees(compile_step_text):
    """Rows of `down` are outputs: they stay gathered, and a remark says why."""
    recipe = Recipe("explicit", masks=("down:rows=0+2:columns=1+5:union",))
    _, found = compile_step_text(recipe)
    assert found.statistics["ssft-slice-updates"]["tiles"] == 2
    assert found.statistics["ssft-co-permute"]["dimensions gathered"] == 1
    (remark,) = found.remarks
    assert remark.message.startswith("rows of 'down' stay gathered: axis ")


def test_full(compile_step_text):
    _, found = compile_step_text(Recipe("full"))
    assert found.statistics["ssft-select-masks"] == {"parameters trained entirely": 2}
    assert not found.statistics["ssft-slice-updates"]
    assert not found.statistics["ssft-co-permute"]
