"""A small Hugging Face Llama whose query heads share keys and values in pairs, with its own loss.

Grouped-query attention couples the heads of a group: they may be permuted only group by group.
"""

import torch
from torch.nn import functional as F
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
        attn_implementation="eager",
        use_cache=False,  # a cache of keys and values is for generation; training has no use for it
    )
    return LlamaForCausalLM(config)


def batch():
    generator = torch.Generator().manual_seed(0)
    return {"input_ids": torch.randint(256, (2, 16), generator=generator)}


def loss(outputs, batch):
    """Next-token cross entropy; without this function, `outputs.loss` is taken."""
    logits, labels = outputs.logits[:, :-1], batch["input_ids"][:, 1:]
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


def optimizer(parameters):
    return torch.optim.SGD(parameters, lr=1e-2, momentum=0.9)
