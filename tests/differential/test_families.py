"""Methods on transformers of many families: twenty clipped steps, as masked dense PyTorch.

Nothing in the compiler knows any of them.
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
    # Small enough that twenty steps do not magnify the last digit beyond what is compared.
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.1)


RECIPES = {
    "full": Recipe("full"),
    "s2ft": Recipe("s2ft", ratio=0.3),
    "global": Recipe("s2ft", ratio=0.3, budget="global", seed=1),
    "rows": Recipe("rows", ratio=0.2),
    "columns": Recipe("paca", ratio=0.2),
    "block": Recipe("block", ratio=0.3),
    "union": Recipe("union", ratio=0.2),
    "ssft": Recipe("ssft", ratio=0.2, calibrate=1),
    "bias": Recipe("bias"),
    "top": Recipe("top", ratio=0.3),
}


# S2FT on each, and two of the other methods in turn: every method meets families of every kind.
OTHERS = [name for name in RECIPES if name not in ("s2ft", "bias")]
CASES = [
    (family, recipe)
    for number, family in enumerate(FAMILIES)
    for recipe in ("s2ft", *(OTHERS[(2 * number + i) % len(OTHERS)] for i in range(2)))
] + [("bert", "bias"), ("llama-biased", "bias"), ("whisper", "bias")]


@pytest.mark.parametrize(("family", "recipe"), CASES)
def test_family(family, recipe):
    made = model(family)
    plan = made.compile(RECIPES[recipe])
    found = train_both(made, plan, 20)
    worst, what = found.largest("loss", "gradient", "moment", "weight")
    assert worst <= 1e-12, what
    assert found.frozen_changed == []
    assert len(set(found.losses)) == 20
