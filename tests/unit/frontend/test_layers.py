"""Steps made longer than they were traced are the steps that would have been traced."""

from __future__ import annotations

import pytest
import torch
import transformers as hf
from torch import nn

from ssft.compiler.diagnostics import UserError
from ssft.compiler.frontend import captured_step
from ssft.compiler.frontend.abstract import without_data
from ssft.compiler.frontend.captured_step import capture
from ssft.compiler.frontend.layers import capture as layers

DEPTH = 6
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "vocab_size": 64}


def tokens(length: int = 8) -> torch.Tensor:
    return torch.zeros(2, length, dtype=torch.long)


def llama(**options):
    sizes = {**SIZES, "num_hidden_layers": DEPTH, "num_key_value_heads": 2, **options}
    model = hf.LlamaForCausalLM(hf.LlamaConfig(**sizes, use_cache=False))
    return model, {"input_ids": tokens(), "labels": tokens()}


def t5():
    config = hf.T5Config(
        vocab_size=64,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=DEPTH,
        num_decoder_layers=DEPTH + 1,
        num_heads=4,
        dropout_rate=0.0,
        decoder_start_token_id=0,
        use_cache=False,
    )
    return hf.T5ForConditionalGeneration(config), {"input_ids": tokens(), "labels": tokens(6)}


class Residual(nn.Module):
    """Its weights are not in the order of its layers."""

    def __init__(self, depth: int = DEPTH, out: str = "last") -> None:
        super().__init__()
        self.first = nn.ModuleList(nn.Linear(16, 24, bias=False) for _ in range(depth))
        self.second = nn.ModuleList(nn.Linear(24, 16, bias=False) for _ in range(depth))
        self.out = out

    def forward(self, x):
        states = []
        for first, second in zip(self.first, self.second, strict=True):
            x = x + second(torch.tanh(first(x)))
            states.append(x)
        if self.out == "last":
            return (x * x).sum()
        return torch.cat(states).square().sum()


def text_of(module) -> str:
    return module.operation.get_asm(enable_debug_info=True)


def captured(model, batch, **options):
    with without_data():
        return capture(model, batch, **options)


@pytest.fixture
def traces(monkeypatch):
    """How many weights each traced step has; repetitions count from six on."""
    counts: list[int] = []
    original = captured_step.trace_step

    def counting(step, example):
        counts.append(len(step.arguments.weights))
        return original(step, example)

    monkeypatch.setattr(captured_step, "trace_step", counting)
    monkeypatch.setattr(layers, "LEAST", 6)
    return counts


def weights_of(model: nn.Module) -> int:
    return len(dict(model.named_parameters())) + len(dict(model.named_buffers()))


@pytest.mark.parametrize("family", [llama, t5])
def test_a_lengthened_step_is_the_traced_one(family, traces):
    with without_data():
        model, batch = family()
    step = captured(model, batch, max_grad_norm=1.0)
    assert len(traces) == 2
    assert traces[1] < traces[0] < weights_of(model)
    whole = step.trace()
    assert text_of(step.module) == text_of(whole.module)
    assert step.arguments == whole.graph.arguments
    assert step.updates == whole.graph.updates


def adamw(lr_of_layer):
    """An optimizer with a group for each of the layers, as layer-wise decay makes it."""

    def make(parameters):
        groups = [{"params": [p], "lr": lr_of_layer(i)} for i, p in enumerate(parameters)]
        return torch.optim.AdamW(groups)

    return make


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (lambda: Residual(out="all"), {}),
        (Residual, {"optimizer": adamw(lambda i: 1e-3 * 0.9**i)}),
        (lambda: Residual(depth=5), {}),
    ],
    ids=["every state is used", "every layer has its rate", "few layers"],
)
def test_what_does_not_repeat_evenly_is_traced_whole(model, options, traces):
    with without_data():
        made, batch = model(), {"x": torch.zeros(2, 16)}
    step = captured(made, batch, **options)
    assert traces[-1] == weights_of(made)
    assert len(step.arguments) > 2 * weights_of(made)


def test_weights_may_come_in_another_order_than_layers(traces):
    with without_data():
        model, batch = Residual(), {"x": torch.zeros(2, 16)}
    step = captured(model, batch)
    assert max(traces) < weights_of(model)
    assert text_of(step.module) == text_of(step.trace().module)


def test_a_difference_between_the_short_steps_means_tracing_the_whole(traces, monkeypatch):
    monkeypatch.setattr(layers, "_equal", lambda left, right: False)
    with without_data():
        model, batch = Residual(), {"x": torch.zeros(2, 16)}
    captured(model, batch)
    assert traces[-1] == weights_of(model)


def test_an_unsupported_operation_is_counted_in_the_whole_model(traces):
    class Unsupported(Residual):
        def forward(self, x):
            for first, second in zip(self.first, self.second, strict=True):
                x = x + second(torch.special.airy_ai(first(x)))
            return x.sum()

    with without_data():
        model, batch = Unsupported(), {"x": torch.zeros(2, 16)}
    with pytest.raises(UserError) as raised:
        captured(model, batch)
    assert traces[-1] == weights_of(model)
    assert f"{DEPTH}" in str(raised.value)
