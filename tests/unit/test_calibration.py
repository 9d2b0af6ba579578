"""What the compiled step measures of a model, against PyTorch with hooks."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, LlamaConfig, LlamaForCausalLM

from ssft.compiler import Recipe, compile
from ssft.compiler.calibration import measure
from ssft.compiler.diagnostics import UserError
from ssft.compiler.frontend import capture
from ssft.compiler.frontend.arrays import to_arrays
from ssft.compiler.pipelines.named import RECOGNISE
from ssft.compiler.pipelines.run import run_pipeline
from ssft.compiler.recipes.statistics import Statistics


def llama() -> nn.Module:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=8, use_cache=False,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def bert() -> nn.Module:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=8, num_labels=3,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    return BertForSequenceClassification(config)


def batches(count: int, labels: int | None) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    made = []
    for _ in range(count):
        ids = torch.randint(32, (2, 6), generator=generator)
        targets = ids if labels is None else torch.randint(labels, (2,), generator=generator)
        made.append({"input_ids": ids, "labels": targets.clone()})
    return made


def expected(model: nn.Module, data: list[dict[str, torch.Tensor]]) -> dict:
    """Sums of gradients, of their squares, and of squared activations, by hooks."""
    found: dict = defaultdict(float)

    def hook(name: str):
        def record(module: nn.Linear, inputs: tuple, output: torch.Tensor) -> None:
            output = output if module.bias is None else output - module.bias
            for kind, value in (("input", inputs[0]), ("output", output)):
                squares = value.detach().double().square().flatten(0, -2).sum(0)
                found[kind, f"{name}.weight"] += squares

        return record

    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(hook(name))
    for batch in data:
        model.zero_grad()
        model(**batch).loss.backward()
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                found["gradient", name] += parameter.grad.double()
                found["fisher", name] += parameter.grad.double().square()
    return {key: value.numpy() for key, value in found.items()}


def measured(model: nn.Module, data: list, steps: int) -> Statistics:
    step = capture(model, data[0])
    run_pipeline(step.module, RECOGNISE)
    before = str(step.module)
    found = measure(step.module, to_arrays(step.weights), data, steps)
    assert str(step.module) == before
    return found


@pytest.mark.parametrize(("make", "labels"), [(llama, None), (bert, 3)])
def test_measurements_are_those_of_pytorch(make, labels):
    data = batches(3, labels)
    found = measured(make(), data, 3)
    wanted = expected(make(), data)
    assert found.steps == 3
    assert set(wanted) <= set(found.values)
    for key, value in wanted.items():
        # A bias of keys has no gradient but for rounding.
        scale = np.abs(value).max()
        np.testing.assert_allclose(
            found.values[key], value, atol=2e-5 * scale + 1e-10, err_msg=str(key)
        )
    for name, parameter in make().named_parameters():
        np.testing.assert_array_equal(found.get("weight", name), parameter.detach().numpy())


def test_sensitivity_is_smoothed_over_batches():
    """LoSiA's |w g - (w g)^2 / 2| and its deviations, as moving averages that begin with zeros."""
    data, model = batches(3, 3), bert()
    step = capture(bert(), data[0])
    run_pipeline(step.module, RECOGNISE)
    found = measure(step.module, to_arrays(step.weights), data, 3, sensitivity=True)
    name = "bert.encoder.layer.0.output.dense.weight"
    parameter = dict(model.named_parameters())[name]
    average, spread = torch.zeros_like(parameter), torch.zeros_like(parameter)
    for batch in data:
        model.zero_grad()
        model(**batch).loss.backward()
        product = (parameter * parameter.grad).detach()
        change = (product - 0.5 * product * product).abs()
        average = 0.85 * average + 0.15 * change
        spread = 0.85 * spread + 0.15 * (change - average).abs()
    for quantity, value in (("sensitivity", average), ("uncertainty", spread)):
        wanted = value.detach().numpy()
        np.testing.assert_allclose(found.get(quantity, name), wanted, atol=1e-4 * wanted.max())
    assert ("sensitivity", name) not in measured(bert(), data, 1).values


def test_it_takes_as_many_batches_as_it_is_told_to():
    data = batches(2, None)
    assert measured(llama(), data, 1).steps == 1
    with pytest.raises(UserError, match="there are 2 batches to calibrate with, not 3"):
        measured(llama(), data, 3)


def test_statistics_survive_a_file(tmp_path):
    path = tmp_path / "s.safetensors"
    values = {("gradient", "a/b"): np.arange(6, dtype=np.float32).reshape(2, 3)}
    Statistics(5, values).save(path)
    found = Statistics.load(path)
    assert found.steps == 5 and set(found.values) == set(values)
    np.testing.assert_array_equal(found.get("gradient", "a/b"), values["gradient", "a/b"])


@pytest.mark.parametrize("content", [None, b"", b"no tensors", b"\0" * 64])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "s.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match="statistics"):
        Statistics.load(path)


def test_a_recipe_that_measures_is_the_same_as_one_with_the_measurements(tmp_path):
    data = batches(4, None)
    recipe = Recipe("s2ft", ratio=0.25, importance="activation", order="smallest")
    plan = compile(llama(), data[0], recipe=recipe.changed({"calibrate": 4}), batches=data)
    path = tmp_path / "s.safetensors"
    measured(llama(), data, 4).save(path)
    again = compile(llama(), data[0], recipe=recipe.changed({"statistics": str(path)}))
    masks = {a.name: a.mask for a in plan.signature().with_role("trainable")}
    assert masks == {a.name: a.mask for a in again.signature().with_role("trainable")}
    # The channels of least activation, as PyTorch sees it.
    name = "model.layers.1.mlp.down_proj.weight"
    squares = expected(llama(), data)["input", name]
    assert set(masks[name].columns) == set(np.argsort(squares)[:6].tolist())


def test_a_model_without_weights_cannot_be_measured(tmp_path):
    from ssft.compiler import compile_file

    path = tmp_path / "model.py"
    path.write_text(
        "import torch\n"
        "def model(): return torch.nn.Linear(4, 2)\n"
        "def batch(): return {'input': torch.zeros(3, 4)}\n"
        "def loss(outputs, batch): return outputs.square().mean()\n"
    )
    with pytest.raises(UserError, match="a model without weights cannot be measured"):
        compile_file(path, Recipe("ssft", calibrate=1), abstract=True)
