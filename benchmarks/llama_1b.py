"""A Llama of 1.1 billion parameters in bfloat16, with grouped queries and random weights."""

import torch
from transformers import LlamaConfig, LlamaForCausalLM

VOCABULARY = 32000


def model():
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=2048,
        intermediate_size=8192,
        num_hidden_layers=16,
        num_attention_heads=32,
        num_key_value_heads=8,
        vocab_size=VOCABULARY,
        attn_implementation="sdpa",
        use_cache=False,
    )
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)  # so that no weight is ever made in float32
    try:
        return LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(default)


def batch():
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(VOCABULARY, (1, 256), generator=generator)
    return {"input_ids": tokens, "labels": tokens.clone()}
