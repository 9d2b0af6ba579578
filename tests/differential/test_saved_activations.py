"""The report's saved activations are what an equivalent PyTorch implementation saves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from side_by_side import EXAMPLES, load_data_module
from torch import Tensor, nn

from ssft.compiler import Recipe, compile_file

RATIO = 0.25
HEADS, HEAD_SIZE, CHANNELS = 1, 16, 44
"""A quarter of the 4 heads and of the 176 channels of the example."""


class PartialLinear(torch.autograd.Function):
    """A linear layer that trains its first `count` input channels and saves a copy of those."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, count: int) -> Tensor:
        ctx.save_for_backward(x[..., :count].clone(), weight)
        ctx.count = count
        return x @ weight.T

    @staticmethod
    def backward(ctx, gradient: Tensor):
        part, weight = ctx.saved_tensors
        partial = torch.zeros_like(weight)
        partial[:, : ctx.count] = gradient.flatten(0, -2).T @ part.flatten(0, -2)
        return gradient @ weight, partial, None


class GatedUnit(torch.autograd.Function):
    """``silu(gate) * up``, keeping its two inputs and computing the rest again."""

    @staticmethod
    def forward(ctx, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        return nn.functional.silu(gate) * up

    @staticmethod
    def backward(ctx, gradient: Tensor):
        gate, up = (tensor.detach().requires_grad_() for tensor in ctx.saved_tensors)
        with torch.enable_grad():
            product = nn.functional.silu(gate) * up
        return torch.autograd.grad(product, (gate, up), gradient)


@pytest.fixture(scope="module")
def saved_by_torch() -> int:
    """Bytes of distinct storages that autograd keeps, without parameters and the batch."""
    example = load_data_module(EXAMPLES / "tiny_llama.py")
    model, batch = example.model().requires_grad_(False), example.batch()
    for layer, count in _trained(model):
        layer.weight.requires_grad_(True)
        layer.forward = lambda x, w=layer.weight, k=count: PartialLinear.apply(x, w, k)
    for block in model.blocks:
        unit = block.feed_forward
        unit.forward = lambda x, u=unit: u.down(GatedUnit.apply(u.gate(x), u.up(x)))
    known = [*model.parameters(), *batch.values()]
    known = {tensor.untyped_storage().data_ptr() for tensor in known}
    storages: dict[int, tuple[int, Tensor]] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        # Holding the tensor keeps the address from being used again.
        if storage.data_ptr() not in known and not _is_labels(tensor):
            storages[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(**batch)
    return sum(size for size, _ in storages.values())


def _trained(model: nn.Module) -> Iterator[tuple[nn.Linear, int]]:
    for block in model.blocks:
        yield block.attention.output, HEADS * HEAD_SIZE
        yield block.feed_forward.down, CHANNELS


def _is_labels(tensor: Tensor) -> bool:
    # flatten() copies the strided labels of the batch, which the plan reads in place.
    return not tensor.is_floating_point()


def test_report_matches_saved_tensor_hooks(saved_by_torch):
    plan = compile_file(EXAMPLES / "tiny_llama.py", Recipe("s2ft", ratio=RATIO))
    reported = plan.report()["memory_bytes"]["saved_activations"]
    assert reported == pytest.approx(saved_by_torch, rel=0.02)
