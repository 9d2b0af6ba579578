"""The closed forms agree with what the compiler counts in plans, which knows no closed forms.

FLOPs of every phase, trainable and total parameters, and saved activations are compared exactly.
The plans are abstract: compiled without weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ssft.compiler import Recipe, compile_file
from ssft.compiler.cost_model import (
    Architecture,
    Method,
    Workload,
    full,
    low_rank,
    named_architecture,
    s2ft,
    step_flops,
)
from ssft.compiler.cost_model.activations import compiled
from ssft.compiler.cost_model.memory import saved_bytes
from ssft.compiler.cost_model.methods import trainable_parameters
from ssft.compiler.cost_model.training import Columns

MODEL_FILE = """
import torch
from transformers import LlamaConfig, LlamaForCausalLM


def model():
    config = LlamaConfig({settings}, use_cache=False, attn_implementation="sdpa")
    model = LlamaForCausalLM(config)
    {wrap}
    return model.to(torch.{dtype}).train()


def batch():
    ids = torch.zeros({shape}, dtype=torch.long)
    return {{"input_ids": ids, "labels": ids}}


def optimizer(parameters):
    return torch.optim.AdamW(parameters, lr=2e-4)
"""

PEFT = """
    import peft
    targets = ["q_proj", "k_proj", "v_proj", "up_proj", "down_proj"]
    settings = peft.LoraConfig(r={rank}, lora_dropout=0.0, target_modules=targets)
    model = peft.get_peft_model(model, settings)
"""

SMALL = Architecture("small", 64, 176, 2, 4, 4, 16, 256)
GROUPED = Architecture("grouped", 64, 176, 2, 4, 2, 16, 256)
ONE_REAL_LAYER = Architecture(
    **(asdict(named_architecture("llama-2-7b")) | {"name": "one layer", "layers": 1})
)


def report(
    tmp_path: Path,
    shapes: Architecture,
    work: Workload,
    recipe: Recipe,
    wrap: str = "",
    dtype: str = "float32",
) -> dict[str, Any]:
    settings = {
        "vocab_size": shapes.vocabulary,
        "hidden_size": shapes.hidden,
        "intermediate_size": shapes.feed_forward,
        "num_hidden_layers": shapes.layers,
        "num_attention_heads": shapes.heads,
        "num_key_value_heads": shapes.key_value_heads,
    }
    file = tmp_path / "model.py"
    keywords = ", ".join(f"{key}={value}" for key, value in settings.items())
    file.write_text(
        MODEL_FILE.format(
            settings=keywords, shape=(work.batch, work.length), wrap=wrap, dtype=dtype
        )
    )
    return compile_file(file, recipe, abstract=True).report()


def saved(shapes: Architecture, method: Method, work: Workload, each: int = 4) -> float:
    """The model's bytes, and what the plan keeps that is no activation of the transformer."""
    layers, outer, _ = saved_bytes(shapes, method, work, compiled, each=each)
    shifted_labels = work.batch * (work.length + 1) * 8
    number_of_labels = 4
    # Tables of positions are made once for the batch; the account charges them to each sequence.
    active = any(layer for layer in method.layers)
    tables = 2 * shapes.head_size * each * work.length * (work.batch - 1) * active
    return layers + outer - tables + shifted_labels + number_of_labels


def compare(found: Mapping[str, Any], shapes: Architecture, method: Method, work: Workload) -> None:
    assert found["flops"] == {**asdict(step_flops(shapes, method, work)), "recomputation": 0}
    assert found["memory_bytes"]["saved_activations"] == saved(shapes, method, work)
    assert found["memory_bytes"]["gradients"] == 4 * trainable_parameters(shapes, method)
    assert found["memory_bytes"]["optimizer_state"] == 8 * trainable_parameters(shapes, method)


def test_s2ft_and_full_with_grouped_queries(tmp_path: Path):
    work = Workload(batch=2, length=24)
    found = report(tmp_path, GROUPED, work, Recipe("s2ft", ratio=0.25))
    method = s2ft(GROUPED, {"o": 0.25, "down": 0.25})
    assert found["trainable_parameters"] == trainable_parameters(GROUPED, method)
    assert found["total_parameters"] == GROUPED.parameters
    compare(found, GROUPED, method, work)
    compare(found["dense"], GROUPED, full(GROUPED), work)


def test_one_layer_of_a_real_model(tmp_path: Path):
    work = Workload(batch=1, length=512)
    found = report(tmp_path, ONE_REAL_LAYER, work, Recipe("s2ft", ratio=0.05))
    method = s2ft(ONE_REAL_LAYER, {"o": 0.05, "down": 0.05})
    assert found["trainable_parameters"] == trainable_parameters(ONE_REAL_LAYER, method)
    assert found["total_parameters"] == ONE_REAL_LAYER.parameters
    compare(found, ONE_REAL_LAYER, method, work)
    compare(found["dense"], ONE_REAL_LAYER, full(ONE_REAL_LAYER), work)


def test_bfloat16_model_keeps_what_it_widens_narrow(tmp_path: Path):
    work = Workload(batch=2, length=24)
    found = report(tmp_path, SMALL, work, Recipe("s2ft", ratio=0.25), dtype="bfloat16")
    method = s2ft(SMALL, {"o": 0.25, "down": 0.25})
    kept = found["memory_bytes"]["saved_activations"]
    assert kept == saved(SMALL, method, work, each=2)
    assert kept > saved(SMALL, method, work) / 2
    dense = found["dense"]["memory_bytes"]["saved_activations"]
    assert dense == saved(SMALL, full(SMALL), work, each=2)


def test_columns_of_every_matrix(tmp_path: Path):
    work = Workload(batch=2, length=24)
    found = report(tmp_path, SMALL, work, Recipe("paca", ratio=0.25, freeze=("lm_head.*",)))
    layer = {linear.name: Columns(round(0.25 * linear.inputs)) for linear in SMALL.linears()}
    compare(found, SMALL, Method("paca", (layer,) * SMALL.layers), work)


def test_low_rank_adapters(tmp_path: Path):
    pytest.importorskip("peft")
    work, rank = Workload(batch=2, length=24), 4
    found = report(tmp_path, SMALL, work, Recipe("full"), wrap=PEFT.format(rank=rank))
    method = low_rank(SMALL, rank, ("q", "k", "v", "up", "down"))
    assert found["total_parameters"] == SMALL.parameters + trainable_parameters(SMALL, method)
    compare(found, SMALL, method, work)


def test_other_methods_differ():
    work = Workload(batch=1, length=24)
    methods = [full(SMALL), low_rank(SMALL, 4, ("q",)), s2ft(SMALL, {"o": 0.25})]
    assert len({step_flops(SMALL, method, work) for method in methods}) == len(methods)
