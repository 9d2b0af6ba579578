"""What a compilation does grows with the number of layers, and no faster."""

from __future__ import annotations

import sys
from collections import Counter

import pytest
import torch
import transformers as hf

from ssft.compiler import Recipe, memory_fit
from ssft.compiler.backends.cpu import MemoryUse
from ssft.compiler.driver import Options, compile_captured
from ssft.compiler.frontend import capture
from ssft.compiler.frontend.abstract import without_data
from ssft.compiler.memory_fit import MemoryRequest

DEPTHS = (6, 12)


def calls_of_a_compilation(
    depth: int, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> Counter[str]:
    """Returns how often functions of the compiler were called, by module."""
    sizes = {"hidden_size": 32, "intermediate_size": 48, "vocab_size": 64}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": depth}
    with without_data():
        model = hf.LlamaForCausalLM(hf.LlamaConfig(**sizes, **heads, use_cache=False))
        tokens = torch.zeros(1, 8, dtype=torch.long)
        captured = capture(model, {"input_ids": tokens, "labels": tokens}, max_grad_norm=1.0)
    calls: Counter[str] = Counter()

    def count(frame, event, argument) -> None:
        # Resuming a generator is a call, too: it is how operations are iterated over.
        if event == "call":
            module = frame.f_globals.get("__name__", "")
            if module.startswith("ssft.compiler."):
                calls[module] += 1

    # What a backend does is another test's: only what chooses and rewrites is counted.
    monkeypatch.setattr(memory_fit, "_account_for", lambda module: MemoryUse(0, 0, 0, 0, 0))
    sys.setprofile(count)
    try:
        options = Options(memory=MemoryRequest("layer"))
        compile_captured(captured, recipe, options, abstract=True)
    finally:
        sys.setprofile(None)
    return calls


def test_calls_grow_as_layers_do(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe("s2ft", ratio=0.25)
    few, many = (calls_of_a_compilation(depth, recipe, monkeypatch) for depth in DEPTHS)
    growth = DEPTHS[1] / DEPTHS[0]
    assert sum(few.values()) > 50_000
    # A module that is called little may be called mostly for what is there once.
    uneven = {
        module: (few[module], many[module])
        for module in many
        if many[module] > 1.1 * growth * max(few[module], 2000)
    }
    assert not uneven
    assert sum(many.values()) <= 1.05 * growth * sum(few.values())
