"""Training that computes activations again has the bits of training that keeps them all.

Bits are those of the interpreter, which does the operations of a plan one by one, and of the CPU
backend as long as it neither reorders sums nor contracts products into them: what that does depends
on which operations share a loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from torch import nn

from ssft.compiler import Plan, Recipe
from ssft.compiler.analysis.flow import Flow
from ssft.compiler.analysis.step import find_step
from ssft.compiler.backends.cpu import jit
from ssft.compiler.checkpointing import Chooser
from ssft.compiler.driver import Options, compile_module
from ssft.compiler.frontend import capture
from ssft.compiler.frontend.arrays import to_arrays
from ssft.compiler.memory_fit import MemoryRequest
from ssft.compiler.passes.cpu_relax_reductions import CpuRelaxReductionsPass
from ssft.dialects import new_context
from ssft.dialects._mlir import ir
from ssft.runtime import Session

STEPS = 3
LAYERS = 3


def llama() -> tuple[nn.Module, dict[str, torch.Tensor]]:
    config = hf.LlamaConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        attn_implementation="sdpa",
        use_cache=False,
    )
    ids = torch.randint(32, (2, 12))
    return hf.LlamaForCausalLM(config), {"input_ids": ids, "labels": ids.clone()}


class Blocks(nn.Module):
    """Residual blocks with dropout, and a classifier."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(8), nn.Linear(8, 24), nn.GELU(), nn.Dropout(dropout), nn.Linear(24, 8)
            )
            for _ in range(LAYERS)
        )
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = x + block(x)
        return nn.functional.cross_entropy(self.head(x), y)


def blocks(dropout: float = 0.0) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    return Blocks(dropout), {"x": torch.randn(16, 8), "y": torch.randint(3, (16,))}


UNION = (
    "blocks.0.1.weight:rows=0+3:columns=1-4:union",
    "blocks.2.4.weight:rows=2:columns=5+7:union",
)

CASES = {
    "llama": (llama, Recipe("s2ft", ratio=0.25), torch.float32),
    "union": (blocks, Recipe("explicit", masks=UNION), torch.float64),
    "dropout": (lambda: blocks(0.3), Recipe("full"), torch.float32),
}
Plans = tuple[dict[str, Plan], dict[str, torch.Tensor]]


@pytest.fixture(scope="module", params=CASES)
def plans(request: pytest.FixtureRequest) -> Plans:
    """Plans by how they checkpoint, and a batch."""
    make, recipe, dtype = CASES[request.param]
    torch.manual_seed(0)
    model, batch = make()
    batch = {k: v.to(dtype) if v.is_floating_point() else v for k, v in batch.items()}
    captured = capture(model.train().to(dtype), batch, max_grad_norm=1.0)
    text, weights = str(captured.module), to_arrays(captured.weights)
    made = {}
    for mode in ("none", "layer", "selective"):
        context = new_context()
        module = ir.Module.parse(text, context)
        options = Options(memory=MemoryRequest.of(mode, None))
        made[mode] = compile_module(context, module, weights, recipe, options)
    return made, batch


def flow_of(plan: Plan) -> Flow:
    with plan.context:
        return Flow.of(find_step(plan.module.operation))


@pytest.fixture
def strict_sums() -> Iterator[None]:
    """Kernels that add up in the order of the program."""
    stages = [s for s in jit.KERNEL_STAGES if not isinstance(s, CpuRelaxReductionsPass)]
    assert len(stages) == len(jit.KERNEL_STAGES) - 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jit, "KERNEL_STAGES", tuple(stages))
        yield


def trained(plan: Plan, batch: dict[str, torch.Tensor], device: str, **options: Any) -> dict:
    """All that some steps of training leave behind, by name."""
    session = Session.from_text(plan.text(), plan.stored_weights(), device, **options)
    predicted = plan.report()["checkpoint"]
    if predicted is not None and session.memory is not None:
        assert session.memory.total == predicted["cpu"]["total"]
    found = {f"loss {n}": np.asarray(session.step(batch)) for n in range(STEPS)}
    assert len({float(loss) for loss in found.values()}) == STEPS
    found |= session.state_dict()
    for name, states in session.optimizer_state().items():
        found |= {f"{name} {key}": np.asarray(value) for key, value in states.items()}
    return found


def assert_same(found: dict, expected: dict) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_less_is_saved(plans: Plans) -> None:
    saved = {m: p.report()["memory_bytes"]["saved_activations"] for m, p in plans[0].items()}
    assert saved["layer"] <= saved["selective"] <= saved["none"]
    assert saved["layer"] < 0.7 * saved["none"]
    again = {mode: plan.report()["flops"]["recomputation"] for mode, plan in plans[0].items()}
    forward = plans[0]["none"].report()["flops"]["forward"]
    assert 0 == again["none"] <= again["selective"] <= 0.1 * forward
    assert 0.3 * forward < again["layer"] <= forward


@pytest.mark.parametrize("mode", ["layer", "selective"])
def test_the_rewritten_step_is_what_was_chosen(plans: Plans, mode: str) -> None:
    none, made = (plans[0][m] for m in ("none", mode))
    chooser = Chooser(flow_of(none))
    choice = chooser.layer() if mode == "layer" else chooser.cheap()
    report = made.report()
    assert choice.peak == flow_of(made).peak() < flow_of(none).peak()
    assert choice.recomputation.saved_bytes == report["memory_bytes"]["saved_activations"]
    assert choice.recomputation.flops == report["flops"]["recomputation"]
    assert report["checkpoint"]["mode"] == mode


@pytest.mark.parametrize("mode", ["layer", "selective"])
def test_every_bit_is_that_of_keeping_everything(plans: Plans, mode: str) -> None:
    made, batch = plans
    results = [trained(made[m], batch, "numpy") for m in (mode, "none")]
    assert_same(*results)


def test_compiled_code_has_the_same_bits(plans: Plans, strict_sums: None) -> None:
    made, batch = plans
    results = [trained(made[m], batch, "cpu", cache=False) for m in ("layer", "none")]
    assert_same(*results)
