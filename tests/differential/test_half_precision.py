"""bfloat16 models: products and updates in f32, moments and masters in f32 on request.

The update is held to ``torch.optim`` in f32 on the plan's own gradients, bit for bit but for the
order of operations; the gradients to eager PyTorch in bfloat16 and in f32.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from small_models import Network, network_batch
from torch import Tensor, nn

from ssft.compiler import Plan, Recipe, UserError, compile
from ssft.runtime import Session
from ssft.runtime.torch_bridge import plan_masks

STEPS = 6
EPSILON = torch.finfo(torch.bfloat16).eps
RECIPES = {
    "full": Recipe("full"),
    "union": Recipe("union", ratio=0.4, seed=1, train=("norm.*",)),
}


def adamw(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=3e-3, weight_decay=0.1)


def momentum(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.3, momentum=0.9, weight_decay=0.01)


@pytest.fixture(scope="module")
def llama() -> tuple[nn.Module, dict[str, Tensor]]:
    """Grouped-query attention, 40 tokens: sums long enough to tell f32 from bfloat16."""
    torch.manual_seed(0)
    config = hf.LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        attn_implementation="sdpa",
        use_cache=False,
    )
    ids = torch.randint(64, (4, 40))
    return hf.LlamaForCausalLM(config).train().bfloat16(), {"input_ids": ids, "labels": ids.clone()}


def session_of(plan: Plan, device: str = "cpu") -> Session:
    return Session.from_text(plan.text(), plan.stored_weights(), device)


def widened(array: np.ndarray) -> Tensor:
    """The numbers of an array that may hold the bits of bfloat16."""
    if array.dtype == np.uint16:
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return torch.from_numpy(np.array(array, np.float32))


class Reference:
    """``torch.optim`` in f32 on weights and states that are stored in bfloat16, or in f32."""

    def __init__(
        self,
        weights: dict[str, Tensor],
        masks: dict[str, Tensor],
        optimizer: Callable[..., torch.optim.Optimizer],
        moments: str,
        masters: bool,
    ) -> None:
        self.masks, self.moments, self.masters = masks, moments, masters
        self.weights = {name: weights[name].clone() for name in masks}
        self.wide = {name: nn.Parameter(w.float()) for name, w in self.weights.items()}
        self.optimizer = optimizer(list(self.wide.values()))

    def step(self, gradients: dict[str, np.ndarray]) -> None:
        for name, wide in self.wide.items():
            if not self.masters:
                wide.data.copy_(self.weights[name].float())
            wide.grad = widened(gradients[name]) * self.masks[name]
        before = {name: wide.detach().clone() for name, wide in self.wide.items()}
        self.optimizer.step()
        for name, wide in self.wide.items():
            wide.data.copy_(torch.where(self.masks[name] == 0, before[name], wide))
            self.weights[name] = wide.detach().bfloat16()
            for value in self.states(name).values():
                if not self.moments:
                    value.copy_(value.bfloat16().float())

    def states(self, name: str) -> dict[str, Tensor]:
        return {k: v for k, v in self.optimizer.state[self.wide[name]].items() if k != "step"}


def relative(value: Tensor, expected: Tensor) -> float:
    return float((value - expected).abs().max() / expected.abs().max().clamp(min=1e-30))


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize(
    ("optimizer", "moments", "masters"),
    [
        (adamw, "", False),
        (adamw, "f32", False),
        (adamw, "f32", True),
        (momentum, "f32", False),
        (momentum, "f32", True),
    ],
)
@pytest.mark.parametrize("device", ["cpu", "numpy"])
def test_updates_are_those_of_pytorch_in_f32(
    recipe: str, optimizer: Any, moments: str, masters: bool, device: str
) -> None:
    torch.manual_seed(0)
    batch = network_batch()
    batch["x"] = batch["x"].bfloat16()
    plan = compile(
        Network().bfloat16(),
        batch,
        optimizer=optimizer,
        recipe=RECIPES[recipe],
        moments=moments,
        master_weights=masters,
        gradients=True,
    )
    session = session_of(plan, device)
    weights = {name: widened(array).bfloat16() for name, array in session.state_dict().items()}
    masks = {name: mask.float() for name, mask in plan_masks(session.signature).items()}
    reference = Reference(weights, masks, optimizer, moments, masters)
    losses = []
    for _ in range(STEPS):
        losses.append(session.step(batch))
        reference.step(session.gradients)
    assert losses[-1] < losses[0]
    after, states = session.state_dict(), session.optimizer_state()
    tolerance = 1e-6 * STEPS if moments else EPSILON
    for name, expected in reference.weights.items():
        found = widened(after[name])
        # Where an f32 result lies between two bfloat16 numbers its last bit decides, seldom.
        off = (found - expected.float()).abs() > 1e-6 * expected.float().abs()
        assert off.float().mean() <= 0.02, name
        assert relative(found, expected.float()) <= 2 * EPSILON, name
        for key, value in reference.states(name).items():
            value = value * masks[name]  # weight decay feeds momentum outside the mask
            assert relative(widened(states[name][key]), value) <= tolerance, (name, key)
        if masters:
            master = found + widened(states[name]["master_remainder"])
            assert relative(master, reference.wide[name].detach()) <= 1e-6 * STEPS, name


def eager(model: nn.Module, batch: dict[str, Tensor], dtype: torch.dtype) -> Iterator[Any]:
    """Loss and gradients of eager PyTorch, for weights that the caller may change."""
    model = copy.deepcopy(model).to(dtype)
    while True:
        loss = model(**batch).loss
        model.zero_grad()
        loss.backward()
        yield model, float(loss.detach()), {n: p.grad.float() for n, p in model.named_parameters()}


@pytest.fixture(scope="module")
def llama_plan(llama: Any) -> Plan:
    model, batch = llama
    return compile(copy.deepcopy(model), batch, optimizer=adamw, moments="f32", gradients=True)


@pytest.mark.parametrize("device", ["cpu", "cpu:emitted,avx2"])
def test_gradients_are_as_good_as_pytorchs(llama: Any, llama_plan: Plan, device: str) -> None:
    """Against f32 gradients of the same bfloat16 weights: as far away as eager bfloat16 is."""
    model, batch = llama
    session = session_of(llama_plan, device)
    half, full = eager(model, batch, torch.bfloat16), eager(model, batch, torch.float32)
    for _ in range(3):
        weights = {name: widened(array) for name, array in session.state_dict().items()}
        wanted: dict[str, Tensor] = {}
        errors: list[tuple[str, float, float]] = []
        loss = session.step(batch)
        found = {name: widened(array) for name, array in session.gradients.items()}
        for steps in (half, full):
            stepped, _, _ = next(steps)
            stepped.load_state_dict(weights, strict=False)
        _, half_loss, rough = next(half)
        _, full_loss, wanted = next(full)
        errors = [
            (name, float((found[name] - g).norm()), float((rough[name] - g).norm()))
            for name, g in wanted.items()
        ]
        assert abs(loss - full_loss) <= 2 * max(abs(half_loss - full_loss), EPSILON / 8 * full_loss)
        for name, ours, theirs in errors:
            assert ours <= 1.5 * theirs + EPSILON / 4 * float(wanted[name].norm()), name


def test_long_sums_are_in_f32() -> None:
    """A bias whose gradient is the sum of 4096 equal numbers: bfloat16 would stop at 256."""

    class Bias(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(4, dtype=torch.bfloat16))

        def forward(self, x: Tensor) -> Tensor:
            return (x + self.bias).float().sum()

    batch = {"x": torch.zeros(4096, 4, dtype=torch.bfloat16)}
    plan = compile(Bias(), batch, gradients=True)
    session = session_of(plan)
    session.step(batch)
    assert widened(session.gradients["bias"]).tolist() == [4096.0] * 4


def test_f32_models_are_left_alone() -> None:
    model, batch = Network(), network_batch()
    plain, asked = (
        compile(copy.deepcopy(model), batch, moments=moments, master_weights=bool(moments))
        for moments in ("", "f32")
    )
    functions = [plan.text().partition("func.func @step")[2] for plan in (plain, asked)]
    assert functions[0] and functions[0] == functions[1]


def test_wishes_that_cannot_be_met() -> None:
    model, batch = Network(), network_batch()
    with pytest.raises(UserError, match="states of type 'f64' are not supported"):
        compile(model, batch, moments="f64")
    with pytest.raises(UserError, match="master weights need moments in f32"):
        compile(model, batch, master_weights=True)
