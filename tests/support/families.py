"""Tiny transformers of many families, from their configurations, with a batch each."""

from __future__ import annotations

import torch
import transformers as hf
from torch import nn

VOCABULARY = 96
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 32,
}


def tokens(length: int = 8, rows: int = 2) -> torch.Tensor:
    return torch.randint(0, VOCABULARY, (rows, length))


def decoder(model: str, **options) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    config = getattr(hf, f"{model}Config")(
        vocab_size=VOCABULARY, use_cache=False, pad_token_id=0, **options
    )
    config._attn_implementation = "eager"
    kind = next(k for k in (f"{model}ForCausalLM", f"{model}LMHeadModel") if hasattr(hf, k))
    ids = tokens()
    return getattr(hf, kind)(config), {"input_ids": ids, "labels": ids.clone()}


def bert(attention_probs_dropout_prob: float = 0.0):
    config = hf.BertConfig(
        vocab_size=VOCABULARY,
        num_labels=3,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=attention_probs_dropout_prob,
        **SIZES,
    )
    config._attn_implementation = "eager"
    model = hf.BertForSequenceClassification(config)
    return model, {"input_ids": tokens(), "labels": torch.tensor([1, 2])}


def t5():
    config = hf.T5Config(
        vocab_size=VOCABULARY,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=1,
        num_heads=4,
        dropout_rate=0.0,
        decoder_start_token_id=0,
        use_cache=False,
    )
    return hf.T5ForConditionalGeneration(config), {"input_ids": tokens(), "labels": tokens(6)}


def whisper():
    config = hf.WhisperConfig(
        vocab_size=VOCABULARY,
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        num_mel_bins=8,
        max_source_positions=10,
        max_target_positions=16,
        dropout=0.0,
        use_cache=False,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    config._attn_implementation = "eager"
    model = hf.WhisperForConditionalGeneration(config)
    return model, {"input_features": torch.randn(2, 8, 20), "labels": tokens(6)}


GPT2 = {"n_embd": 32, "n_layer": 1, "n_head": 4, "n_positions": 32}
GPT2 |= {f"{name}_pdrop": 0.0 for name in ("attn", "embd", "resid")}
FAMILIES = {
    "llama-mha": lambda: decoder("Llama", num_key_value_heads=4, **SIZES),
    "llama-gqa": lambda: decoder("Llama", num_key_value_heads=2, **SIZES),
    "llama-mqa": lambda: decoder("Llama", num_key_value_heads=1, **SIZES),
    "llama-biased": lambda: decoder(
        "Llama", num_key_value_heads=2, attention_bias=True, mlp_bias=True, **SIZES
    ),
    "bert": bert,
    "gpt2": lambda: decoder("GPT2", **GPT2),
    "phi3": lambda: decoder("Phi3", num_key_value_heads=2, **SIZES),
    "gpt-neox": lambda: decoder("GPTNeoX", rotary_pct=0.25, **SIZES),
    "mpt": lambda: decoder("Mpt", d_model=32, n_layers=1, n_heads=4, max_seq_len=32),
    "t5": t5,
    "whisper": whisper,
}
ENCODERS = ("bert", "t5", "whisper")
"""Those with a part that attends to everything."""

DECODERS = tuple(family for family in FAMILIES if family not in ENCODERS)
