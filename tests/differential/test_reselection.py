"""Rows and columns that are chosen again while training: masked PyTorch whose mask changes.

Moments of what trains before and after a choice are kept, others start with zeros.
"""

from __future__ import annotations

from functools import cache

import pytest
import torch
from families import FAMILIES
from side_by_side import Captured, train_both
from small_models import captured

from ssft.compiler import Recipe


@cache
def model(family: str) -> Captured:
    torch.manual_seed(0)
    made, batch = FAMILIES[family]()
    return captured(made.train(), batch, adamw)


def adamw(parameters):
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.1)


RECIPES = {
    "s2ft": Recipe("s2ft", ratio=0.3, reselect=6, train=("*[nN]orm*",)),
    "rows": Recipe("rows", ratio=0.2, reselect=7),
    "paca": Recipe("paca", ratio=0.2, reselect=5),
    "block": Recipe("block", ratio=0.3, reselect=5, seed=1),
    "union": Recipe("union", ratio=0.2, reselect=6),
    "losia": Recipe("losia", ratio=0.3, reselect=6, calibrate=2),
    "coupled": Recipe("coupled", ratio=0.3, reselect=7, seed=2),
    "measured": Recipe("ssft", ratio=0.2, reselect=8, calibrate=1),
}


# Every recipe on one of them, what differs most on both.
CASES = [
    (family, recipe)
    for number, recipe in enumerate(RECIPES)
    for family in ("llama-gqa", "bert")
    if recipe in ("union", "losia") or number % 2 == (family == "bert")
]


@pytest.mark.parametrize(("family", "recipe"), CASES)
def test_as_masked_pytorch_whose_mask_changes(family, recipe):
    made = model(family)
    plan = made.compile(RECIPES[recipe])
    found = train_both(made, plan, 24)
    worst, what = found.largest("loss", "gradient", "moment", "weight")
    assert worst <= 1e-12, what
    assert found.frozen_changed == []
    assert len(set(found.losses)) == 24
