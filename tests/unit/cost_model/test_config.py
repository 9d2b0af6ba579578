"""Shapes from configurations: parameters are those of the classes of transformers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    OPTConfig,
    Phi3Config,
    PretrainedConfig,
    Qwen2Config,
)

from ssft.compiler.cost_model.config import (
    architecture_from_config,
    architecture_from_file,
    model_names,
    named_architecture,
)
from ssft.compiler.diagnostics import UserError

SIZES = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
}

CONFIGURATIONS = [
    LlamaConfig(**SIZES),
    LlamaConfig(**SIZES, num_key_value_heads=2, attention_bias=True, mlp_bias=True),
    LlamaConfig(**SIZES, tie_word_embeddings=True, head_dim=32),
    MistralConfig(**SIZES, num_key_value_heads=2),
    Qwen2Config(**SIZES, num_key_value_heads=2),
    Phi3Config(**SIZES, num_key_value_heads=2, pad_token_id=0),
    GPT2Config(vocab_size=512, n_embd=64, n_layer=3, n_head=4, n_positions=128),
    GPT2Config(vocab_size=512, n_embd=64, n_layer=3, n_head=4, n_inner=100),
    OPTConfig(
        vocab_size=512,
        hidden_size=64,
        ffn_dim=160,
        num_hidden_layers=3,
        num_attention_heads=4,
        word_embed_proj_dim=64,
        max_position_embeddings=128,
    ),
    GPTNeoXConfig(**SIZES),
]


@pytest.mark.parametrize("config", CONFIGURATIONS, ids=lambda config: config.model_type)
def test_parameters_are_counted(config: PretrainedConfig):
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert architecture_from_config(config).parameters == counted


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("llama-2-7b", 6_738_415_616),
        ("llama-2-13b", 13_015_864_320),
        ("llama-3-8b", 8_030_261_248),
        ("mistral-7b", 7_241_732_096),
    ],
)
def test_named_models_have_their_public_sizes(name: str, parameters: int):
    assert named_architecture(name).parameters == parameters


def test_every_named_model_can_be_made():
    assert {named_architecture(name).name for name in model_names()} == set(model_names())


def test_file_and_object_agree(tmp_path: Path):
    config = LlamaConfig(**SIZES)
    path = tmp_path / "config.json"
    path.write_text(config.to_json_string(use_diff=False))
    found = architecture_from_file(path)
    assert found.name == "config"
    assert found.parameters == architecture_from_config(config).parameters


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "bert"}, "no cost formulas for model_type 'bert'"),
        ({"hidden_size": None}, "says no hidden size"),
        ({"hidden_size": "64"}, "configuration key 'hidden_size' is '64'"),
        ({"num_key_value_heads": 3}, "4 heads cannot share 3 key/value heads"),
        ({"num_hidden_layers": 0}, "layers must be at least 1"),
    ],
)
def test_unusable_configuration_is_refused(changes: dict, message: str):
    keys = {"model_type": "llama", **SIZES, **changes}
    with pytest.raises(UserError, match=message):
        architecture_from_config(keys)


@pytest.mark.parametrize("text", ["{", "[1]", json.dumps({})])
def test_unusable_file_is_refused(tmp_path: Path, text: str):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(UserError):
        architecture_from_file(path)


def test_unknown_name_suggests_one():
    with pytest.raises(UserError) as caught:
        named_architecture("llama-2-7")
    assert "did you mean 'llama-2-7b'?" in caught.value.notes
