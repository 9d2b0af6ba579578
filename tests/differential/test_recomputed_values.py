"""Plans that compute values again for the backward pass have the bits of plans that keep them all.

The model is of bfloat16: what it widens to compute in f32 is kept narrow.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import transformers as hf

from ssft.compiler import Plan, Recipe, compile
from ssft.compiler.passes.ssft_rematerialize import RematerializePass
from ssft.runtime import Session

STEPS = 3


@pytest.fixture(scope="module")
def plans() -> tuple[Plan, Plan, dict[str, torch.Tensor]]:
    """The plan as compiled, the same without recomputation, and a batch."""
    torch.manual_seed(0)
    config = hf.LlamaConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        attn_implementation="sdpa",
        use_cache=False,
    )
    model = hf.LlamaForCausalLM(config).train().bfloat16()
    ids = torch.randint(32, (2, 12))
    batch = {"input_ids": ids, "labels": ids.clone()}
    recipe = Recipe("s2ft", ratio=0.25)
    made = compile(copy.deepcopy(model), batch, recipe=recipe, gradients=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RematerializePass, "run", lambda self, module, context: None)
        kept = compile(copy.deepcopy(model), batch, recipe=recipe, gradients=True)
    return made, kept, batch


def test_every_bit_is_that_of_keeping_everything(plans: tuple[Plan, Plan, dict]) -> None:
    made, kept, batch = plans
    saved = [plan.report()["memory_bytes"]["saved_activations"] for plan in (made, kept)]
    assert saved[0] < 0.51 * saved[1]
    sessions = [Session.from_text(p.text(), p.stored_weights(), "numpy") for p in (made, kept)]
    for _ in range(STEPS):
        losses = [session.step(batch) for session in sessions]
        assert losses[0] == losses[1]
        assert_same(*(session.gradients for session in sessions))
    assert_same(*(session.state_dict() for session in sessions))
    states = [session.optimizer_state() for session in sessions]
    for name in states[1]:
        assert_same(states[0][name], states[1][name])


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
