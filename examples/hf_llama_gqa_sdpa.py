"""A small Hugging Face Llama: grouped-query attention by `scaled_dot_product_attention`."""

import torch
from transformers import LlamaConfig, LlamaForCausalLM


def model():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=256,
        hidden_size=64,
        intermediate_size=176,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        attn_implementation="sdpa",
        use_cache=False,  # a cache of keys and values is for generation; training has no use for it
    )
    return LlamaForCausalLM(config)


def batch():
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(256, (2, 16), generator=generator)
    return {"input_ids": tokens, "labels": tokens.clone()}


def optimizer(parameters):
    return torch.optim.AdamW(parameters, lr=2e-4, weight_decay=0.01)
