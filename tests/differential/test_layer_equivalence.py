"""Layers, whole transformers and other precisions against masked PyTorch, to 1e-12 in double."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from side_by_side import Captured
from small_models import (
    UNION,
    Model,
    Network,
    assert_close,
    captured,
    check,
    data,
    masks,
    network_batch,
)
from torch import Tensor, nn

from ssft.compiler import Recipe
from ssft.compiler.frontend import capture
from ssft.runtime import Session


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def layers() -> dict[str, tuple[nn.Module, Recipe]]:
    convolutions = nn.Sequential(nn.Conv1d(4, 6, 3, padding=1), nn.Tanh(), nn.Conv1d(6, 4, 3))
    return {
        "conv": (convolutions, masks(f"layer.0.weight:{UNION}", "layer.2.weight:columns=1+4")),
        "batch norm": (nn.BatchNorm1d(4), masks("layer.weight:rows=1", train=("pre.bias",))),
        "batch norm, eval": (nn.BatchNorm1d(4).eval(), masks("layer.weight:rows=1+3")),
        "group norm": (nn.GroupNorm(2, 4), masks("layer.bias:rows=0", "pre.weight:rows=1")),
        "lstm": (
            nn.LSTM(8, 3, batch_first=True),
            masks("layer.weight_hh_l0:rows=1+7", "layer.bias_hh_l0:rows=2"),
        ),
        "attention": (
            nn.TransformerEncoderLayer(8, 2, 12, 0.2, batch_first=True, norm_first=True),
            masks("*in_proj_weight:rows=0-3+16", "*out_proj.weight:columns=4-7", "*.bias:rows=0"),
        ),
    }


@pytest.mark.parametrize("name", layers())
def test_layers(name):
    def loss(m, b):
        out = m.layer(m.pre(b["x"]))
        out = out[0] if isinstance(out, tuple) else out
        return (out.sum(-1).square() * b["y"]).mean()

    layer, recipe = layers()[name]
    shape = (6, 4)
    model = Model(loss, {"pre": nn.Linear(8, 8), "layer": layer})
    check(captured(model, {"x": data(*shape, 8), "y": data(*shape)}), recipe)


def test_running_statistics_follow_the_batches():
    def loss(m, b):
        return m.norm(m.a(b["x"])).pow(3).mean()

    made = captured(
        Model(loss, {"a": nn.Linear(4, 6), "norm": nn.BatchNorm1d(6)}), {"x": data(8, 4)}
    )
    plan = made.compile(masks("a.weight:rows=1+4", "norm.weight:rows=2"))
    session = Session.from_text(plan.text(), plan.stored_weights())
    reference = made.reference(plan)
    for _ in range(3):
        with made.precision():
            session.evaluate(made.batch)
            session.step(made.batch)
            reference.step(made.batch)
    for name, expected in reference.model.named_buffers():
        assert_close(session.state_dict()[name], expected)


def test_top_k_takes_no_entry_twice():
    """Where fewer than k entries are finite."""

    def loss(m, b):
        scores = torch.where(b["x"] > 0, b["x"] + m.w, -torch.inf)
        values, indices = scores.topk(2, -1)
        weights = torch.softmax(values, -1) * torch.tensor([1.0, 3.0], dtype=scores.dtype)
        return weights.sum() + (indices * 1.0).sum() + m.w.square().sum()

    batch = {"x": torch.tensor([[5.0, -1.0, -1.0], [1.0, 2.0, 3.0]])}
    check(captured(Model(loss, {"w": torch.zeros(3)}), batch), masks("w:rows=0+2"))


# Whole transformers.


def language_model(name: str, **options: Any) -> tuple[nn.Module, dict[str, Tensor]]:
    config = getattr(hf, f"{name}Config")(vocab_size=32, **options)
    config._attn_implementation = "eager"
    ids = torch.randint(3, 32, (2, 6))
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    labels = torch.where(mask > 0, ids, -100)
    model = getattr(hf, f"{name}ForCausalLM" if name != "GPT2" else "GPT2LMHeadModel")(config)
    return model.train(), {"input_ids": ids, "attention_mask": mask, "labels": labels}


SIZES = {"hidden_size": 16, "intermediate_size": 12, "num_hidden_layers": 1, "pad_token_id": 0}
GPT2 = {"n_embd": 16, "n_layer": 1, "n_head": 4, "n_positions": 16}
ATTENTION, FFN = "model.layers.0.self_attn", "model.layers.0.mlp"
MODELS: dict[str, tuple[str, dict[str, Any], Recipe]] = {
    # A tied table, weights stored as inputs x outputs, fused projections; dropout.
    "gpt2": (
        "GPT2",
        GPT2,
        masks(
            "*c_attn.weight:columns=0-3+20-23+40+45",
            "*attn.c_proj.weight:rows=4-7+12-15",
            "*c_fc.weight:columns=3+9",
            "*mlp.c_proj.weight:rows=9+11+30",
            "*wte.weight:rows=3+8:columns=1:union",
        ),
    ),
    # Fused gate and up projections, whose halves share channels with the down projection.
    "phi3": (
        "Phi3",
        {**SIZES, "num_attention_heads": 4, "num_key_value_heads": 2},
        masks(
            f"{FFN}.gate_up_proj.weight:rows=1+5+12+13",
            f"{FFN}.down_proj.weight:columns=2+5+11",
            f"{ATTENTION}.qkv_proj.weight:rows=4-7+24-27",
            f"{ATTENTION}.o_proj.weight:columns=4-7",
        ),
    ),
    # Grouped queries: parts of two groups, and different sets on the same axes.
    "llama": (
        "Llama",
        {**SIZES, "num_attention_heads": 8, "num_key_value_heads": 4},
        masks(
            f"{ATTENTION}.o_proj.weight:columns=2-3+14-15+8",
            f"{ATTENTION}.q_proj.weight:rows=6-7+14",
            f"{ATTENTION}.v_proj.weight:rows=0+3:columns=5:union",
            f"{FFN}.gate_proj.weight:rows=1+4",
            f"{FFN}.up_proj.weight:rows=0+4+7",
            f"{FFN}.down_proj.weight:columns=4+9+11",
        ),
    ),
    # Parallel blocks: biases with the same gradient.
    "gpt-neox": (
        "GPTNeoX",
        {**SIZES, "num_attention_heads": 2},
        Recipe("s2ft", ratio=0.3, train=("*attention.dense.bias",)),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_transformers(name):
    architecture, options, recipe = MODELS[name]
    model, batch = language_model(architecture, **options)
    check(captured(model, batch), recipe)


def test_dropout_in_bert():
    config = hf.BertConfig(
        vocab_size=32, num_attention_heads=2, max_position_embeddings=16, num_labels=3, **SIZES
    )
    config._attn_implementation = "eager"
    ids = torch.randint(3, 32, (2, 6))
    batch = {"input_ids": ids, "labels": torch.tensor([0, 2])}
    made = captured(hf.BertForSequenceClassification(config).train(), batch)
    check(made, Recipe("union", ratio=0.3, train=("classifier.*",)))


# Other precisions.


def momentum(parameters):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype):
    """The plan rounds after every operation and PyTorch does not: equal to some roundings."""

    def widen(array: np.ndarray) -> np.ndarray:
        if array.dtype == np.uint16:
            return (array.astype(np.uint32) << 16).view(np.float32)
        return array.astype(np.float32)

    model = Network().to(dtype)
    batch = {**network_batch(), "x": data(5, 4).to(dtype)}
    definition = SimpleNamespace(optimizer=momentum, loss=None)
    made = Captured(definition, copy.deepcopy(model), batch, "", "", 0.5)
    step = capture(model, batch, optimizer=definition.optimizer, max_grad_norm=0.5)
    made.text = step.module.operation.get_asm()
    plan = made.compile(masks(f"b.weight:{UNION}", "a.weight:rows=1+4", "c.bias:rows=1"))
    session = Session.from_text(plan.text(), plan.stored_weights())
    reference = made.reference(plan)
    tolerance = 8 * torch.finfo(dtype).eps
    for _ in range(3):
        assert session.step(batch) == pytest.approx(reference.step(batch), rel=tolerance)
    for name, gradient in reference.gradients.items():
        expected = gradient.float().numpy()
        error = np.abs(widen(session.gradients[name]) - expected).max()
        assert error <= tolerance * np.abs(expected).max(), name
