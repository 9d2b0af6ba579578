"""What LLVM has to compile does not grow with the number of equal layers."""

from __future__ import annotations

import torch
import transformers as hf

from ssft.compiler import Recipe, compile
from ssft.compiler.backends.cpu import CpuOptions
from ssft.compiler.backends.cpu.compile import _schedule
from ssft.compiler.backends.cpu.schedule import Schedule

DEPTHS = (3, 4)


def schedule(layers: int) -> Schedule:
    config = hf.LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        use_cache=False,
    )
    model, ids = hf.LlamaForCausalLM(config), torch.zeros(1, 8, dtype=torch.long)
    batch = {"input_ids": ids, "labels": ids}
    plan = compile(model, batch, recipe=Recipe("s2ft", ratio=0.25), max_grad_norm=1.0)
    return _schedule(plan.text(), CpuOptions())[2]


def test_deeper_models_have_more_calls_of_the_same_kernels() -> None:
    few, many = (schedule(layers) for layers in DEPTHS)
    assert len(many.calls) > 1.2 * len(few.calls)
    texts = [{k.text.replace(k.name, "") for k in made.kernels.values()} for made in (few, many)]
    assert len(texts[0]) == len(few.kernels) > 50
    # The norm over all gradients has more operands.
    assert len(texts[1] - texts[0]) <= 2
    assert len(texts[1]) <= len(texts[0]) + 1
