"""Every method on encoders and encoder-decoders, as masked dense PyTorch."""

from __future__ import annotations

import pytest
import torch
from families import ENCODERS, bert
from family_groups import check_groups, refusals
from method_matrix import cases, check_case
from small_models import captured

from ssft.compiler import Recipe


@pytest.mark.parametrize(("family", "recipe", "device"), cases(ENCODERS))
def test_family(family, recipe, device):
    check_case(family, recipe, device)


@pytest.mark.parametrize("family", ENCODERS)
def test_what_moves_together_and_what_may_not(family):
    check_groups(family)


def test_heads_under_dropout_train_but_stay_where_they_are():
    torch.manual_seed(0)
    made = captured(*bert(attention_probs_dropout_prob=0.1))
    plan = made.compile(Recipe("s2ft", ratio=0.5, seed=1))
    (mask,) = (m for m in plan.report()["masks"] if "attention.output" in m["name"])
    assert mask["columns"] == [*range(8), *range(24, 32)]
    assert mask["stored"] == {"columns": "gathered"}
    assert refusals(plan) == {"columns of output.dense": "4 fixed: position used"}
