"""Captured steps train as PyTorch does: whole models, several steps."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from transformers import BertConfig, BertForSequenceClassification

from ssft.compiler.frontend import capture, load_model_file

LLAMAS = ["hf_llama_mha_eager", "hf_llama_mha_sdpa", "hf_llama_gqa_eager", "hf_llama_gqa_sdpa"]
# One step of Adam divides a gradient by its own size, so noise in gradients that are almost zero
# becomes visible: SGD shows the gradients themselves.
SGD = {"lr": 0.1, "momentum": 0.9}


def sgd(parameters):
    return torch.optim.SGD(parameters, **SGD)


def check_against_pytorch(train, run_graph, model, batch, loss=None, tolerance=1e-6):
    captured = capture(model, batch, loss=loss, optimizer=sgd, max_grad_norm=0.5)
    expected = train(model, batch, sgd, loss, 0.5)
    assert expected.losses[0] != pytest.approx(expected.losses[-1], rel=1e-4)
    actual = run_graph(captured)
    names = {key for key in expected.values if key[1] == "momentum_buffer"}
    assert names == {key for key in actual.values if key[1] == "momentum_buffer"}
    assert actual.worst(expected) < tolerance
    return captured


@pytest.mark.parametrize("name", ["tiny_llama", *LLAMAS])
def test_llama(name, examples, train, run_graph):
    definition = load_model_file(examples / f"{name}.py")
    model, batch = definition.model().train(), definition.batch()
    check_against_pytorch(train, run_graph, model, batch, definition.loss, tolerance=1e-5)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_bert(attention, train, run_graph):
    config = BertConfig(
        vocab_size=64,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=32,
        num_labels=3,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        attn_implementation=attention,
    )
    model = BertForSequenceClassification(config).train()
    mask = torch.ones(2, 8, dtype=torch.long)
    mask[1, 5:] = 0
    batch = {
        "input_ids": torch.randint(64, (2, 8)),
        "attention_mask": mask,
        "labels": torch.tensor([1, 2]),
    }
    captured = check_against_pytorch(train, run_graph, model, batch)
    inputs = {a.name: (a.value_range, a.ignore) for a in captured.arguments if a.role == "input"}
    assert inputs == {
        "input_ids": ((0, 64), None),
        "attention_mask": (None, None),
        "labels": ((0, 3), -100),
    }
    assert not any("scaled_dot" in str(node.target) for node in captured.graph.graph.nodes)


class Tied(nn.Module):
    """A language model whose output layer is its embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.hidden = nn.Linear(8, 8)
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids, labels):
        logits = self.head(F.gelu(self.hidden(self.embedding(ids))))
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


def test_tied_weights_are_one_argument_and_exact_in_float64(train, run_graph):
    model = Tied().double()
    ids = torch.randint(11, (2, 6))
    # The same tensor object under two keys is two inputs all the same.
    captured = check_against_pytorch(
        train, run_graph, model, {"ids": ids, "labels": ids}, tolerance=1e-12
    )
    tied = [a for a in captured.arguments if a.role == "trainable" and a.aliases]
    assert [(a.name, a.aliases) for a in tied] == [("embedding.weight", ("head.weight",))]
    assert [a.name for a in captured.arguments if a.role == "input"] == ["ids", "labels"]


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 2.0 * x * grad


def in_place(module, batch):
    hidden = module.layer(batch["x"]).clone()
    hidden[batch["y"] == 1] = 0.5
    hidden[:, 0] = 1.0
    hidden[..., 1] *= 2.0
    return hidden.square().mean()


def moving_parts(module, batch):
    hidden = module.layer(batch["x"].cumsum(1))
    picked = hidden[torch.arange(3), batch["y"][:, 0]]
    rows = module.table[batch["y"]] + module.table[-1]
    values, indices = hidden.topk(2)
    pooled = F.pad(hidden, (1, -1)).max(-1).values + hidden.roll(1, 1).flip(2)[..., 0]
    return picked.sum() + rows.square().mean() + (values * indices).sum() + pooled.square().sum()


FUNCTIONS = {
    "custom backward": lambda m, b: Square.apply(m.layer(b["x"])).mean(),
    "in place": in_place,
    "indexing": moving_parts,
    "class weights": lambda m, b: F.cross_entropy(
        m.layer(b["x"]).transpose(1, 2), b["y"], weight=m.table[:, 0].detach().abs() + 1.0
    ),
    "label smoothing": lambda m, b: F.cross_entropy(
        m.layer(b["x"]).flatten(0, 1), b["y"].flatten(), label_smoothing=0.1, ignore_index=2
    ),
    "gelu tanh": lambda m, b: F.gelu(m.layer(b["x"]), approximate="tanh").square().mean(),
    "subtract from": lambda m, b: (0.1 - m.layer(b["x"])).square().mean(),
    "norms": lambda m, b: m.layer(m.norm(b["x"])).square().mean(),
}


@pytest.fixture
def small(from_batch):
    def make(name):
        members = {"layer": nn.Linear(8, 4), "table": nn.Parameter(torch.randn(4, 4))}
        if name == "norms":
            members["norm"] = nn.Sequential(nn.LayerNorm(8), nn.RMSNorm(8))
        model = from_batch(FUNCTIONS[name], **members).double()
        x = torch.randn(3, 5, 8, dtype=torch.float64)
        return model, {"x": x, "y": torch.randint(4, (3, 5))}

    return make


@pytest.mark.parametrize("name", FUNCTIONS)
def test_operations_are_exact_in_float64(name, small, train, run_graph):
    model, batch = small(name)
    check_against_pytorch(train, run_graph, model, batch, tolerance=1e-12)


def test_batch_norm_statistics_are_updated(train, run_graph):
    model = nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 4)).double()
    batch = {"input": torch.randn(5, 8).double(), "y": torch.randint(4, (5,))}

    def loss(outputs, batch):
        return F.cross_entropy(outputs, batch["y"])

    captured = check_against_pytorch(train, run_graph, model, batch, loss, tolerance=1e-12)
    updated = {a.name for a in captured.updates if a.role == "frozen"}
    assert updated == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}


def test_capture_leaves_the_model_alone(small):
    model, batch = small("norms")
    before = copy.deepcopy(model.state_dict())
    captured = capture(model, batch, optimizer=sgd)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    shared = {name: tensor.data_ptr() for name, tensor in captured.weights.items()}
    assert shared == {name: p.data_ptr() for name, p in model.named_parameters()}


def test_bfloat16_keeps_its_types(small):
    model, batch = small("norms")
    captured = capture(model.bfloat16(), {**batch, "x": batch["x"].bfloat16()}, max_grad_norm=1.0)
    types = {str(a.type) for a in captured.module.body.operations[0].arguments}
    assert "tensor<4x8xbf16>" in types
    assert not any("f32" in type_ for type_ in types)


def test_bfloat16_constants_keep_their_values(from_batch):
    scale = torch.tensor([1.5, -3.0, 0.1], dtype=torch.bfloat16)
    none = torch.tensor([], dtype=torch.bfloat16)
    model = from_batch(
        lambda m, b: (m.layer(b["x"]) * torch.cat([none, scale])).sum(), layer=nn.Linear(3, 3)
    )
    captured = capture(model.bfloat16(), {"x": torch.ones(2, 3, dtype=torch.bfloat16)})
    text = captured.module.operation.get_asm()
    assert "dense<[1.500000e+00, -3.000000e+00, 1.000980e-01]> : tensor<3xbf16>" in text
