"""FLOPs of low-rank adapters are those that PyTorch's counter finds in peft, without data."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM

from ssft.compiler.cost_model import Flops, Workload, architecture_from_config, low_rank, step_flops

TARGETS = ("q", "k", "v", "up", "down")
BATCH, LENGTH, HIDDEN, RANK = 2, 96, 128, 8
SHAPES = LlamaConfig(
    hidden_size=HIDDEN,
    intermediate_size=352,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    vocab_size=1000,
    use_cache=False,
    attn_implementation="eager",
)


def counted(*, dora: bool, input_requires_grad: bool) -> tuple[int, int]:
    """FLOPs of the forward and of the backward pass."""
    peft = pytest.importorskip("peft")
    targets = [f"{name}_proj" for name in TARGETS]
    settings = peft.LoraConfig(r=RANK, use_dora=dora, lora_dropout=0.05, target_modules=targets)
    with torch.device("meta"):
        model = peft.get_peft_model(LlamaForCausalLM(SHAPES), settings)
        embedded = torch.zeros((BATCH, LENGTH, HIDDEN), requires_grad=input_requires_grad)
        mask = torch.zeros((BATCH, 1, LENGTH, LENGTH))
        positions = torch.zeros((1, LENGTH), dtype=torch.long)
    with FlopCounterMode(display=False) as forward:
        outputs = model(inputs_embeds=embedded, attention_mask=mask, position_ids=positions)
    with FlopCounterMode(display=False) as backward:
        outputs.logits.sum().backward()
    return forward.get_total_flops(), backward.get_total_flops()


def predicted(*, dora: bool, input_requires_grad: bool) -> Flops:
    architecture = architecture_from_config(SHAPES)
    method = low_rank(architecture, RANK, TARGETS, magnitude=dora)
    work = Workload(BATCH, LENGTH, input_requires_grad=input_requires_grad)
    return step_flops(architecture, method, work)


@pytest.mark.parametrize("input_requires_grad", [False, True])
def test_lora(input_requires_grad: bool):
    forward, backward = counted(dora=False, input_requires_grad=input_requires_grad)
    found = predicted(dora=False, input_requires_grad=input_requires_grad)
    assert found.forward == forward
    assert found.input_gradient + found.weight_gradient == backward


def test_dora_but_for_the_norm_of_the_merged_weight():
    forward, backward = counted(dora=True, input_requires_grad=True)
    found = predicted(dora=True, input_requires_grad=True)
    architecture = architecture_from_config(SHAPES)
    # Once a step, whatever the batch, peft sends an identity through A and B: 2rnn + 2rmn.
    linears = [architecture.linear(name) for name in TARGETS]
    merged = sum(2 * RANK * linear.inputs * (linear.inputs + linear.outputs) for linear in linears)
    assert found.forward == forward - merged * architecture.layers
    assert found.input_gradient + found.weight_gradient == backward
