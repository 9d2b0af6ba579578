"""Masks of several rectangles, and of both sides of an axis: twenty clipped steps, as PyTorch."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from families import FAMILIES
from side_by_side import Captured, train_both
from small_models import captured, masks

from ssft.compiler import Recipe


@cache
def model(family: str) -> Captured:
    torch.manual_seed(0)
    made, batch = FAMILIES[family]()
    return captured(made.train(), batch, adamw)


def adamw(parameters):
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.1)


def sides(**ratios: float) -> Recipe:
    """S2FT's four ratios by the names of projections."""
    return Recipe(
        "coupled", ratio=0.0, seed=1, ratios=tuple(f"*{n}.weight={r}" for n, r in ratios.items())
    )


LLAMA = {
    "smt": Recipe("smt", ratio=0.2, block="8x8", calibrate=2),
    "smt-uneven": Recipe("smt", ratio=0.15, block="7x5", calibrate=1, train=("*norm*",)),
    "losia": Recipe("losia", ratio=0.3, calibrate=2),
    "rectangles": masks(
        "*.down_proj.weight:rows=0-3:columns=0-7",
        "*.down_proj.weight:rows=2+9:columns=30-35",
        "*.up_proj.weight:rows=1+2:columns=5:union",
        "*.up_proj.weight:rows=40:columns=0-3",
    ),
    "all-sides": sides(v_proj=0.5, o_proj=0.25, up_proj=0.1, down_proj=0.3),
    "only-rows": sides(v_proj=0.5, up_proj=0.25),
    # The most of one kind and none of the other, as for Llama-3 in the paper's scripts.
    "only-down": sides(down_proj=0.03),
}
BERT = {
    "smt": Recipe("smt", ratio=0.2, block="16x8", calibrate=2),
    "losia": Recipe("losia", ratio=0.2, calibrate=1),
    "all-sides": Recipe("coupled", ratio=0.25, ratios=("*output.dense.weight=0.5",)),
}
CASES = [("llama-gqa", name) for name in LLAMA] + [("bert", name) for name in BERT]


@pytest.mark.parametrize(("family", "recipe"), CASES)
def test_as_masked_pytorch(family, recipe):
    made = model(family)
    plan = made.compile((BERT if family == "bert" else LLAMA)[recipe])
    found = train_both(made, plan, 20)
    worst, what = found.largest("loss", "gradient", "moment", "weight")
    assert worst <= 1e-12, what
    assert found.frozen_changed == []
    assert len(set(found.losses)) == 20


def test_blocks_become_few_rectangles_and_products():
    """Blocks of a matrix with the same rows share a product; the masks are as the report says."""
    plan = model("llama-gqa").compile(LLAMA["smt"])
    combined = [a for a in plan.signature().with_role("trainable")
                if a.mask is not None and a.mask.combine == "rectangles"]  # fmt: skip
    assert combined
    report = plan.report()
    for argument in combined:
        entries = [e for e in report["masks"] if e["name"] == argument.name]
        assert len(entries) == len(argument.mask.rectangles) > 1
        blocks = -(-argument.shape[0] // 8) * -(-argument.shape[1] // 8)
        assert len(entries) < blocks * 0.5
    assert report["trainable_parameters"] <= 0.2 * report["total_parameters"] * 1.01


@pytest.mark.parametrize("ratio", [0.3, 0.5])
def test_layers_may_get_different_shares_and_none(ratio):
    """A global budget gives some axes no unit at all; what is left equals PyTorch all the same."""
    made = model("llama-mha")
    plan = made.compile(Recipe("s2ft", ratio=ratio, budget="global", seed=3))
    sliced = {a.name for a in plan.signature().with_role("trainable")}
    zero = made.compile(Recipe("s2ft", ratio=ratio, ratios=("*o_proj.weight=0",), seed=3))
    names = {a.name for a in zero.signature().with_role("trainable")}
    assert sliced and names and not any("o_proj" in name for name in names)
    found = train_both(made, zero, 20)
    worst, what = found.largest("loss", "gradient", "moment", "weight")
    assert worst <= 1e-12, what
