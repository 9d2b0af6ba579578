"""A free axis is a claim that can be executed.

Permute every argument that carries it, run the whole step (forward, backward, optimizer) in
PyTorch, and nothing but the order of the results changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import permutations, product

import numpy as np
import pytest
import torch
from families import FAMILIES, decoder
from torch import nn

from ssft.compiler.analysis.axes import Axis, AxisAnalysis, analyze_axes
from ssft.compiler.analysis.step import find_step
from ssft.compiler.frontend import CapturedStep, capture
from ssft.compiler.permutation import dimension_order, permute, unpermute


class LossOnly(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, **batch: torch.Tensor) -> torch.Tensor:
        return self.model(**batch).loss


@dataclass
class Case:
    step: CapturedStep
    analysis: AxisAnalysis
    arguments: list[torch.Tensor]
    results: list[torch.Tensor]

    def number(self, name: str, state: str | None = None) -> int:
        """The argument called `name`, or the one whose name ends in it."""
        return next(
            i
            for i, a in enumerate(self.step.arguments)
            if a.name.endswith(name) and a.state == state
        )

    def run(self, names: dict[int, str], orders: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Results of the step on permuted arguments, in the original order again."""
        layouts = [[d.text(names) for d in dims] for dims in self.analysis.dimensions]
        permuted = [
            torch.from_numpy(permute(value.numpy(), layout, orders))
            for value, layout in zip(self.arguments, layouts, strict=True)
        ]
        loss, *updated = self.step.graph(*permuted)[: 1 + len(self.step.updates)]
        return [loss.numpy()] + [
            unpermute(value.numpy(), layouts[self.step.arguments.index(target)], orders)
            for value, target in zip(updated, self.step.updates, strict=True)
        ]

    def error(self, names: dict[int, str], orders: dict[str, np.ndarray]) -> float:
        """Largest difference of any result from the unpermuted step's, relative to its scale."""
        pairs = zip(self.run(names, orders), self.results, strict=True)
        return max(
            float(np.abs(got - want.numpy()).max() / (np.abs(want.numpy()).max() + 1e-30))
            for got, want in pairs
        )

    def free_axes(self, name: str, dim: int) -> list[Axis]:
        """The free axes in a dimension of a parameter, major first, each once."""
        layout = self.analysis.dimension(self.number(name), dim)
        return list(dict.fromkeys(axis for _, axis in layout.axes() if axis.is_free))


@cache
def case(name: str, dtype: torch.dtype = torch.float32) -> Case:
    torch.manual_seed(0)
    model, batch = FAMILIES[name]()
    model = LossOnly(model).to(dtype).train()
    with torch.no_grad():
        # No parameter may be constant along an axis, or a permutation of it would not show.
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    batch = {k: v.to(dtype) if v.is_floating_point() else v for k, v in batch.items()}
    step = capture(model, batch)
    arguments = [_argument(step, a, batch) for a in step.arguments]
    results = [value.detach() for value in step.graph(*arguments)[: 1 + len(step.updates)]]
    return Case(step, analyze_axes(find_step(step.module.operation)), arguments, results)


def _argument(step: CapturedStep, argument, batch) -> torch.Tensor:
    match argument.role:
        case "trainable" | "frozen":
            return step.weights[argument.name]
        case "state":
            # Away from zero, where Adam's quotient would magnify rounding.
            like = step.weights[argument.name]
            return 0.5 + torch.rand(like.shape, dtype=like.dtype)
        case "hyper":
            return torch.tensor(1e-2, dtype=torch.float64)
        case "step":
            return torch.tensor(3.0, dtype=torch.float64)
        case "seed":
            return torch.tensor(5)
    return batch[argument.name]


def sizes(axes: list[Axis]) -> list[int]:
    return [axis.size for axis in axes]


@pytest.mark.parametrize("name", FAMILIES)
def test_the_step_does_not_notice_a_permutation_of_a_free_axis(name):
    this = case(name)
    assert not this.analysis.unknown
    assert this.analysis.free_axes
    generator = np.random.default_rng(0)
    for axis in this.analysis.free_axes:
        order = generator.permutation(axis.size)
        assert this.error({axis.id: "x"}, {"x": order}) < 1e-5, axis


@pytest.mark.parametrize("name", ["llama-gqa", "gpt2"])
def test_all_free_axes_at_once_in_double_precision(name):
    this = case(name, torch.float64)
    generator = np.random.default_rng(1)
    free = this.analysis.free_axes
    names = {axis.id: axis.name for axis in free}
    orders = {axis.name: generator.permutation(axis.size) for axis in free}
    # Hugging Face's RMSNorm and rotary tables round through single precision.
    assert this.error(names, orders) < (1e-6 if "llama" in name else 1e-12)


def test_grouped_queries_keys_and_values_in_one_projection_indexed_by_lists():
    """PyTorch cannot run this model's traced step (a view of strided memory), so only its loss."""
    torch.manual_seed(0)
    options = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    model, batch = decoder("Falcon", new_decoder_architecture=True, num_kv_heads=2, **options)
    model = LossOnly(model)
    step = capture(model, batch)
    analysis = analyze_axes(find_step(step.module.operation))
    fused = next(i for i, a in enumerate(step.arguments) if "query_key_value" in a.name)
    # Two groups of two queries, a key and a value; rotary halves, in which values take part.
    assert str(analysis.dimension(fused, 0)) == "2x(2 + 1 + 1)x(4 + 4)"
    generator = np.random.default_rng(0)
    with torch.no_grad():
        expected = model(**batch)
        for axis in analysis.free_axes:
            order = {"x": generator.permutation(axis.size)}
            state = {}
            for number, argument in enumerate(step.arguments):
                if argument.role in ("trainable", "frozen"):
                    layouts = [d.text({axis.id: "x"}) for d in analysis.dimensions[number]]
                    weight = step.weights[argument.name].numpy()
                    state[argument.name] = torch.from_numpy(permute(weight, layouts, order))
            got = torch.func.functional_call(model, state, (), batch)
            assert abs(float(got - expected)) < 1e-5, axis


def test_permuting_moves_something():
    """The tests above would pass if nothing were permuted."""
    this = case("llama-gqa")
    (channels,) = this.free_axes("down_proj.weight", 1)
    number = this.number("down_proj.weight")
    layouts = [d.text({channels.id: "x"}) for d in this.analysis.dimensions[number]]
    weight = this.arguments[number].numpy()
    moved = permute(weight, layouts, {"x": np.roll(np.arange(channels.size), 1)})
    assert abs(float(loss(this, {"down_proj.weight": moved}) - this.results[0])) > 1e-4


EXPECTED = {
    # Feed-forward channels; key/value groups, queries in a group, value dimensions.
    ("llama-mha", "mlp.down_proj.weight", 1): [48],
    ("llama-mha", "o_proj.weight", 1): [4, 8],
    ("llama-gqa", "mlp.gate_proj.weight", 0): [48],
    ("llama-gqa", "o_proj.weight", 1): [2, 2, 8],
    ("llama-gqa", "v_proj.weight", 0): [2, 8],
    ("llama-mqa", "o_proj.weight", 1): [4, 8],
    ("llama-biased", "v_proj.bias", 0): [2, 8],
    ("llama-biased", "mlp.up_proj.bias", 0): [48],
    # Without rotary embeddings the dimensions of queries and keys are free too.
    ("bert", "query.weight", 0): [4, 8],
    ("bert", "value.bias", 0): [4, 8],
    ("bert", "pooler.dense.weight", 0): [32],
    # Fused projections behave as separate ones: [q | k | v], [gate | up], and per head [q k v].
    ("gpt2", "attn.c_attn.weight", 1): [4, 8, 8],
    ("phi3", "gate_up_proj.weight", 0): [48],
    ("phi3", "down_proj.weight", 1): [48],
    ("gpt-neox", "dense_4h_to_h.weight", 1): [48],
    ("gpt-neox", "attention.dense.weight", 1): [4, 8],
    # The slopes of ALiBi are constants in the code, one per head.
    ("mpt", "attn.out_proj.weight", 1): [8],
    ("mpt", "down_proj.weight", 1): [128],
    ("t5", "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", 1): [4],
    ("t5", "decoder.block.0.layer.1.EncDecAttention.o.weight", 1): [4, 8],
    ("whisper", "decoder.layers.0.encoder_attn.v_proj.weight", 0): [4, 8],
}


@pytest.mark.parametrize(("name", "parameter", "dim"), EXPECTED)
def test_free_axes_are_the_ones_known_to_be_legal(name, parameter, dim):
    assert sizes(case(name).free_axes(parameter, dim)) == EXPECTED[name, parameter, dim]


def test_couplings_of_a_llama_layer():
    this = case("llama-gqa")

    def parameters(axis: Axis) -> set[str]:
        names = [this.step.arguments[i].name for i in axis.arguments()]
        return {".".join(name.split(".")[-2:]) for name in names}

    group, query, value = this.free_axes("o_proj.weight", 1)
    (channel,) = this.free_axes("down_proj.weight", 1)
    assert parameters(group) == {f"{p}_proj.weight" for p in "qkvo"}
    assert parameters(query) == {"q_proj.weight", "o_proj.weight"}
    assert parameters(value) == {"v_proj.weight", "o_proj.weight"}
    assert parameters(channel) == {f"{p}_proj.weight" for p in ("gate", "up", "down")}


def reachable(this: Case, name: str, dim: int) -> set[tuple[int, ...]]:
    """Every order of a dimension that permutations of its free axes can make."""
    axes = this.free_axes(name, dim)
    layout = this.analysis.dimension(this.number(name), dim).text({a.id: a.name for a in axes})
    choices = product(*(map(np.array, permutations(range(axis.size))) for axis in axes))
    return {
        tuple(dimension_order(layout, dict(zip([a.name for a in axes], c, strict=True))).tolist())
        for c in choices
    }


def loss(this: Case, changes: dict[str, np.ndarray]) -> torch.Tensor:
    """Loss of the step with parameters replaced."""
    arguments = list(this.arguments)
    for name, value in changes.items():
        arguments[this.number(name)] = torch.from_numpy(np.ascontiguousarray(value))
    return this.step.graph(*arguments)[0]


def heads(order: list[int], size: int = 8) -> list[int]:
    return [head * size + i for head in order for i in range(size)]


def test_moving_query_heads_between_groups_is_refused():
    this = case("llama-gqa")
    swapped = heads([0, 2, 1, 3])
    q, o = (this.arguments[this.number(f"{p}_proj.weight")].numpy() for p in "qo")
    broken = loss(this, {"q_proj.weight": q[swapped], "o_proj.weight": o[:, swapped]})
    assert abs(float(broken - this.results[0])) > 1e-4, "this permutation is illegal"
    of_heads = {tuple(i // 8 for i in order[::8]) for order in reachable(this, "q_proj.weight", 0)}
    assert of_heads == {(0, 1, 2, 3), (1, 0, 3, 2), (2, 3, 0, 1), (3, 2, 1, 0)}


def test_permuting_rotated_dimensions_inside_a_head_is_refused():
    this = case("llama-mha")
    swapped = [base + i for base in range(0, 32, 8) for i in (1, 0, 2, 3, 4, 5, 6, 7)]
    q, k = (this.arguments[this.number(f"{p}_proj.weight")].numpy() for p in "qk")
    broken = loss(this, {"q_proj.weight": q[swapped], "k_proj.weight": k[swapped]})
    assert abs(float(broken - this.results[0])) > 1e-4, "this permutation is illegal"
    assert tuple(swapped) not in reachable(this, "q_proj.weight", 0)
    # What remains is to reorder the pairs (i, i + 4), and the frequencies with them.
    pairs = this.free_axes("q_proj.weight", 0)[-1]
    assert pairs.size == 4
    assert this.number("rotary_emb.inv_freq") in pairs.arguments()


def test_the_residual_stream_moves_as_a_whole_or_not_at_all():
    this = case("llama-mha")
    (residual,) = this.free_axes("gate_proj.weight", 1)
    matrices = [
        i
        for i, a in enumerate(this.step.arguments)
        if a.role == "trainable" and this.arguments[i].ndim == 2
    ]
    assert set(matrices) <= set(residual.arguments())
    order = np.random.default_rng(0).permutation(residual.size)
    weight = this.arguments[this.number("gate_proj.weight")].numpy()
    broken = loss(this, {"gate_proj.weight": weight[:, order]})
    assert abs(float(broken - this.results[0])) > 1e-4, "one layer by itself is illegal"
