"""The models that benchmarks train, their batches, and PyTorch's rivals of our plans.

Weights are random, from a seed; sizes are those of the documentation's tables.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import nn
from transformers import BertConfig, BertForMaskedLM, LlamaConfig, LlamaForCausalLM

NORM = 1.0
"""Gradients are clipped to this norm."""


@dataclass(frozen=True)
class Size:
    """A transformer and its batch; `key_heads` below `heads` is grouped-query attention.

    `dtype` is that of the weights, a name in torch.
    """

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    batch: int
    length: int
    key_heads: int = 0
    kind: str = "llama"
    dtype: str = "float32"

    @property
    def head_size(self) -> int:
        """Elements of a head."""
        return self.hidden // self.heads


SIZES = {
    "T": Size(64, 2, 4, 176, 256, 2, 16),
    "S": Size(256, 4, 8, 704, 4096, 4, 128),
    "M": Size(1024, 2, 16, 2752, 8192, 2, 256),
    "GQA": Size(512, 4, 8, 1408, 8192, 2, 256, key_heads=2),
    "long": Size(512, 2, 8, 1408, 8192, 1, 1024),
    "MiniLM": Size(384, 6, 12, 1536, 30522, 4, 128, kind="bert"),
}


def deep(size: Size, layers: int) -> Size:
    """The same model with another number of layers."""
    return replace(size, layers=layers)


DTYPES = {"f32": "float32", "bf16": "bfloat16"}


def sized(name: str, dtype: str = "f32", length: int = 0) -> Size:
    """The size called `name`, with weights of a type in `DTYPES`; `length` replaces its own."""
    size = replace(SIZES[name], dtype=DTYPES[dtype])
    return replace(size, length=length) if length else size


def make_model(size: Size) -> nn.Module:
    """The model in training mode, with SDPA attention and without dropout."""
    return _make_model(size).to(getattr(torch, size.dtype)).train()


def _make_model(size: Size) -> nn.Module:
    torch.manual_seed(0)
    if size.kind == "bert":
        config = BertConfig(
            vocab_size=size.vocabulary,
            hidden_size=size.hidden,
            intermediate_size=size.feed_forward,
            num_hidden_layers=size.layers,
            num_attention_heads=size.heads,
            max_position_embeddings=512,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            attn_implementation="sdpa",
        )
        return BertForMaskedLM(config)
    config = LlamaConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        intermediate_size=size.feed_forward,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.key_heads or size.heads,
        max_position_embeddings=size.length,
        attn_implementation="sdpa",
        use_cache=False,
    )
    return LlamaForCausalLM(config)


def make_batch(size: Size) -> dict[str, torch.Tensor]:
    """Random tokens, [batch, length] int64, which are also the labels."""
    generator = torch.Generator().manual_seed(0)
    shape = (size.batch, size.length)
    ids = torch.randint(size.vocabulary, shape, generator=generator)
    return {"input_ids": ids, "labels": ids.clone()}


class SplitLinear(nn.Module):
    """A linear layer of which only the first input columns train, as one writes S2FT by hand.

    Both parts are arrays of their own, so that autograd makes a gradient of the trained columns
    only and keeps only their inputs: S2FT (Yang et al. 2024, section 3.3), after the permutation
    that puts the chosen heads and channels first.
    """

    def __init__(self, linear: nn.Linear, columns: int):
        super().__init__()
        weight = linear.weight.detach()
        self.columns = columns
        self.trained = nn.Parameter(weight[:, :columns].contiguous())
        self.register_buffer("frozen", weight[:, columns:].contiguous())
        self.bias = None if linear.bias is None else nn.Buffer(linear.bias.detach())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        trained = nn.functional.linear(x[..., : self.columns], self.trained, self.bias)
        return trained + nn.functional.linear(x[..., self.columns :], self.frozen)


def hand_written_s2ft(size: Size, ratio: float) -> nn.Module:
    """The model with `ratio` of the heads and of the channels training, at least one of each."""
    model = make_model(size).requires_grad_(False)
    heads = max(1, round(ratio * size.heads)) * size.head_size
    channels = max(1, round(ratio * size.feed_forward))
    for name, module in list(model.named_modules()):
        if not isinstance(module, nn.Linear):
            continue
        parent, _, attribute = name.rpartition(".")
        if size.kind == "bert":
            attention = name.endswith("attention.output.dense")
            wanted = attention or name.endswith(".output.dense")
        else:
            attention = attribute == "o_proj"
            wanted = attention or attribute == "down_proj"
        if wanted:
            made = SplitLinear(module, heads if attention else channels)
            setattr(model.get_submodule(parent), attribute, made)
    return model


def lora(size: Size, rank: int = 16) -> nn.Module:
    """The model with peft's LoRA on all linear layers but the last, without dropout."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear")
    return get_peft_model(make_model(size), config)
