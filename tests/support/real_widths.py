"""One layer each of published models, in their real widths; to be made without data."""

from __future__ import annotations

import torch
import transformers as hf
from torch import nn

LENGTH = 16
NO_CACHE = {"use_cache": False, "num_hidden_layers": 1}


def llama(hidden: int, ffn: int, heads: int, groups: int, vocabulary: int):
    return hf.LlamaForCausalLM, hf.LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=ffn,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        **NO_CACHE,
    )


MODELS = {
    "llama-2-7b": lambda: llama(4096, 11008, 32, 32, 32000),
    "llama-2-13b": lambda: llama(5120, 13824, 40, 40, 32000),
    "llama-3-8b": lambda: llama(4096, 14336, 32, 8, 128256),
    "bert-base": lambda: (hf.BertForSequenceClassification, hf.BertConfig(num_hidden_layers=1)),
    "t5-base": lambda: (
        hf.T5ForConditionalGeneration,
        hf.T5Config(
            d_model=768, d_ff=3072, num_heads=12, num_layers=1, decoder_start_token_id=0,
            use_cache=False,
        ),
    ),
    "whisper-base": lambda: (
        hf.WhisperForConditionalGeneration,
        hf.WhisperConfig(
            d_model=512, encoder_ffn_dim=2048, decoder_ffn_dim=2048, encoder_attention_heads=8,
            decoder_attention_heads=8, encoder_layers=1, decoder_layers=1, use_cache=False,
        ),
    ),
    "mpt-7b": lambda: (
        hf.MptForCausalLM,
        hf.MptConfig(d_model=4096, n_heads=32, n_layers=1, vocab_size=50432, use_cache=False),
    ),
}  # fmt: skip


def model(name: str) -> nn.Module:
    kind, config = MODELS[name]()
    return kind(config).train()


def batch(name: str) -> dict[str, torch.Tensor]:
    _, config = MODELS[name]()
    labels = torch.zeros(1, LENGTH, dtype=torch.int64)
    if name == "bert-base":
        return {"input_ids": labels, "labels": torch.zeros(1, dtype=torch.int64)}
    if name == "whisper-base":
        length = 2 * config.max_source_positions
        return {"input_features": torch.zeros(1, config.num_mel_bins, length), "labels": labels}
    return {"input_ids": labels, "labels": labels.clone()}
