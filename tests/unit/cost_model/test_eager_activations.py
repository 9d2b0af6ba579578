"""The account of eager PyTorch is what autograd keeps, on tensors without data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from ssft.compiler.cost_model import Workload, architecture_from_config, full, low_rank, s2ft
from ssft.compiler.cost_model.activations import eager, eager_partial
from ssft.compiler.cost_model.memory import saved_bytes
from ssft.compiler.cost_model.methods import Method

TARGETS = ("q", "k", "v", "up", "down")
PEFT_TARGETS = [f"{name}_proj" for name in TARGETS]
BATCH, LENGTH = 2, 96


def config(layers: int, key_value_heads: int = 4) -> LlamaConfig:
    return LlamaConfig(
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=key_value_heads,
        vocab_size=1000,
        use_cache=False,
        attn_implementation="eager",
    )


def llama(shapes: LlamaConfig, trains: Callable[[str], bool]) -> LlamaForCausalLM:
    with torch.device("meta"):
        model = LlamaForCausalLM(shapes).to(torch.bfloat16)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(trains(name))
    return model.train()


@contextmanager
def saved_storages(model: torch.nn.Module) -> Iterator[dict[int, int]]:
    """Collects the bytes of each storage that autograd keeps and that is no parameter."""
    parameters = {p.untyped_storage()._cdata for p in model.parameters()}
    found: dict[int, int] = {}
    held = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        # Labels and what is counted of them are no activations.
        if storage._cdata not in parameters and tensor.dtype != torch.long:
            held.append(storage)
            found[storage._cdata] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield found


def measured(model: torch.nn.Module, hidden: int, *, input_requires_grad: bool) -> int:
    """Bytes that one forward pass keeps, without the loss's count of labels (one number)."""
    embedded = torch.zeros((BATCH, LENGTH, hidden), device="meta", dtype=torch.bfloat16)
    embedded.requires_grad_(input_requires_grad)
    labels = torch.zeros((BATCH, LENGTH), dtype=torch.long, device="meta")
    # A ready mask and ready positions: building them would read values, and there are none.
    mask = torch.zeros((BATCH, 1, LENGTH, LENGTH), device="meta", dtype=torch.bfloat16)
    positions = torch.zeros((1, LENGTH), dtype=torch.long, device="meta")
    with saved_storages(model) as found:
        model(inputs_embeds=embedded, attention_mask=mask, position_ids=positions, labels=labels)
    return sum(size for size in found.values() if size > 4)


def predicted(
    shapes: LlamaConfig,
    method: Method,
    *,
    input_requires_grad: bool,
    account: ModuleType = eager,
) -> float:
    architecture = architecture_from_config(shapes)
    work = Workload(BATCH, LENGTH, input_requires_grad=input_requires_grad)
    layers, outer, _ = saved_bytes(architecture, method, work, account)
    # One set of rotary tables serves the whole batch; the account charges them to each sequence.
    shared = (BATCH - 1) * LENGTH * 2 * architecture.head_size * 2
    return layers + outer - shared


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("key_value_heads", [4, 2])
def test_full(layers: int, key_value_heads: int):
    shapes = config(layers, key_value_heads)
    model = llama(shapes, lambda name: True)
    method = full(architecture_from_config(shapes))
    expected = measured(model, 128, input_requires_grad=True)
    assert predicted(shapes, method, input_requires_grad=True) == expected


@pytest.mark.parametrize("input_requires_grad", [False, True])
@pytest.mark.parametrize("trained", [("o", "down"), ("down",), ("v", "up"), ("o",), ("up",)])
def test_selected_projections_keep_their_whole_input(
    trained: tuple[str, ...], input_requires_grad: bool
):
    shapes = config(2)
    names = tuple(f"{name}_proj" for name in trained)
    model = llama(shapes, lambda name: any(part in name for part in names))
    method = s2ft(architecture_from_config(shapes), dict.fromkeys(trained, 0.3))
    expected = measured(model, 128, input_requires_grad=input_requires_grad)
    assert predicted(shapes, method, input_requires_grad=input_requires_grad) == expected


class PartialLinear(torch.autograd.Function):
    """A linear layer that trains its first `count` input channels and keeps a copy of those."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, count: int) -> Tensor:
        ctx.save_for_backward(x[..., :count].clone(), weight)
        return x @ weight.T

    @staticmethod
    def backward(ctx, gradient: Tensor):
        raise NotImplementedError("only what is kept matters here")


@pytest.mark.parametrize("input_requires_grad", [False, True])
def test_partial_backward_keeps_copies_of_selected_channels(input_requires_grad: bool):
    shapes = config(2)
    model = llama(shapes, lambda name: "o_proj" in name or "down_proj" in name)
    for name, module in model.named_modules():
        if name.endswith(("o_proj", "down_proj")):
            count = {"o_proj": 32, "down_proj": 88}[name.rpartition(".")[2]]
            module.forward = lambda x, w=module.weight, k=count: PartialLinear.apply(x, w, k)
    method = s2ft(architecture_from_config(shapes), {"o": 0.25, "down": 0.25})
    expected = measured(model, 128, input_requires_grad=input_requires_grad)
    found = predicted(
        shapes, method, input_requires_grad=input_requires_grad, account=eager_partial
    )
    assert found == expected


def fused_dropout(
    x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """What an accelerator does: one kernel, which keeps a mask of bytes."""
    return torch.native_dropout(x, p, training)[0] if p else x


def test_low_rank_adapters_under_dropout(monkeypatch: pytest.MonkeyPatch):
    peft = pytest.importorskip("peft")
    monkeypatch.setattr(torch.nn.functional, "dropout", fused_dropout)
    shapes = config(2)
    settings = peft.LoraConfig(
        r=8, lora_dropout=0.05, target_modules=PEFT_TARGETS, task_type="CAUSAL_LM"
    )
    model = peft.get_peft_model(llama(shapes, lambda name: False), settings)
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    method = low_rank(architecture_from_config(shapes), 8, TARGETS)
    expected = measured(model, 128, input_requires_grad=True)
    assert predicted(shapes, method, input_requires_grad=True) == expected


def test_one_more_kept_value_would_be_noticed():
    shapes = config(1)
    model = llama(shapes, lambda name: True)
    method = s2ft(architecture_from_config(shapes), {"down": 0.3})
    expected = measured(model, 128, input_requires_grad=True)
    assert predicted(shapes, method, input_requires_grad=True) != expected
