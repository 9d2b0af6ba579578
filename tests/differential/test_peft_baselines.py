"""peft's methods through the same compiler: the baselines that sparse methods are compared with."""

from __future__ import annotations

import peft
import pytest
import torch
from families import FAMILIES
from side_by_side import train_both
from small_models import captured

from ssft.compiler import Recipe

CONFIGS = {
    "lora": {"r": 3, "lora_alpha": 6},
    "rslora, biases": {"r": 2, "use_rslora": True, "bias": "lora_only"},
    "dora": {"r": 2, "use_dora": True},
}


def adamw(parameters):
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.1)


@pytest.mark.parametrize("family", ["llama-gqa", "bert"])
@pytest.mark.parametrize("method", CONFIGS)
def test_what_peft_adds_trains_and_nothing_else(family, method):
    torch.manual_seed(0)
    model, batch = FAMILIES[family]()
    config = peft.LoraConfig(target_modules="all-linear", **CONFIGS[method])
    adapted = peft.get_peft_model(model.double(), config).train()
    made = captured(adapted, batch, adamw)
    plan = made.compile(Recipe("full"))
    found = train_both(made, plan, 20)
    worst, what = found.largest("loss", "gradient", "moment", "weight")
    assert worst <= 1e-12, what
    assert found.frozen_changed == []
    trained = {a.name for a in plan.signature().with_role("trainable")}
    wanted = {name for name, p in adapted.named_parameters() if p.requires_grad}
    assert trained == wanted and any("lora_A" in name for name in wanted)
