"""Small models with everything that training code contains, on the accelerator, bit for bit."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers as hf
from accelerator_steps import accelerator, advanced, machine, run, same_bits
from side_by_side import Captured
from small_models import UNION, Model, Network, adamw, data, masks, network_batch
from torch import Tensor, nn
from torch.nn import functional as F

from ssft.compiler import Recipe
from ssft.compiler.backends.interpreter import interpret_step
from ssft.compiler.buffers import batch_arrays
from ssft.compiler.diagnostics import UserError
from ssft.compiler.frontend import capture
from ssft.runtime import Session

sys.path.insert(0, str(Path(__file__).parent))

import test_corner_cases as corner_cases
import test_layer_equivalence as layer_equivalence

STEPS = 3
MACHINES = (("ssft-edge", None), ("ssft-server", 24 << 10))
FULL = Recipe("full")


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def captured(
    model: nn.Module,
    batch: Mapping[str, Tensor],
    optimizer: Callable[..., torch.optim.Optimizer] = adamw,
    max_grad_norm: float | None = 0.5,
) -> Captured:
    """Captures `model` as it is, in single precision."""
    definition = SimpleNamespace(optimizer=optimizer, loss=None)
    made = Captured(definition, copy.deepcopy(model), dict(batch), "", "f32", max_grad_norm or 0.0)
    step = capture(model, batch, optimizer=optimizer, max_grad_norm=max_grad_norm)
    made.text = step.module.operation.get_asm(enable_debug_info=True)
    return made


def check(made: Captured, recipe: Recipe, machines: Sequence = MACHINES) -> None:
    """Every result of some steps is that of the interpreter; and something is learnt."""
    plan = made.compile(recipe)
    text, signature = plan.text(), plan.signature()
    session = Session.from_text(text, plan.stored_weights(), device="numpy")
    inputs = batch_arrays(session.signature.inputs, made.batch)
    first = [
        inputs[info.name] if info.role == "input" else array
        for info, array in zip(signature.arguments, session._arrays, strict=True)
    ]
    reference = interpret_step(text, "bf16")
    for preset, size in machines:
        program = accelerator(text, machine(preset, size))
        arguments, losses = first, []
        for step in range(STEPS):
            found, expected = run(program, arguments), run(reference, arguments)
            different = [
                (info.name, info.role, info.updates_arg)
                for info, one, other in zip(signature.results, found, expected, strict=True)
                if not same_bits(one, other)
            ]
            assert not different, f"{preset}, {size} bytes, step {step}"
            losses.append(float(found[0]))
            arguments = advanced(signature, arguments, found)
        assert len(set(losses)) > 1 and np.isfinite(losses).all()


# One case multiplies by a constant in double precision.
CASES = [name for name in corner_cases.CASES if name != "transformed"]


@pytest.mark.parametrize("name", CASES)
def test_gradients_that_are_no_plain_products(name):
    build, recipe = corner_cases.CASES[name]
    function, members, batch = build()
    clip = None if name in corner_cases.UNCLIPPED else 0.5
    check(captured(Model(function, members), batch, max_grad_norm=clip), recipe)


@pytest.mark.parametrize("name", corner_cases.OPTIMIZERS)
def test_optimizers(name):
    made = captured(Network(), network_batch(), corner_cases.OPTIMIZERS[name], max_grad_norm=0.1)
    chosen = ("a.weight:rows=1+4", f"b.weight:{UNION}", "norm.weight:rows=1+2")
    check(made, masks(*chosen, "c.weight:columns=1+5", "c.bias:rows=1"))


@pytest.mark.parametrize("name", ["all rows, one column", "corner", "all but a corner"])
def test_masks_at_the_edge(name):
    recipe = masks(f"b.weight:{corner_cases.EDGES[name]}", "c.bias:rows=2")
    check(captured(Network(), network_batch()), recipe)


@pytest.mark.parametrize("method", ["block", "union", "s2ft"])
def test_a_batch_of_one(method):
    """Sums over a single element are no sums."""
    batch = {key: value[:1] for key, value in network_batch().items()}
    check(captured(Network(), batch), Recipe(method, ratio=0.4, train=("*.bias",)))


@pytest.mark.parametrize("name", layer_equivalence.layers())
def test_layers(name):
    def loss(m, b):
        out = m.layer(m.pre(b["x"]))
        out = out[0] if isinstance(out, tuple) else out
        return (out.sum(-1).square() * b["y"]).mean()

    layer, recipe = layer_equivalence.layers()[name]
    model = Model(loss, {"pre": nn.Linear(8, 8), "layer": layer})
    check(captured(model, {"x": data(6, 4, 8), "y": data(6, 4)}), recipe)


@pytest.mark.parametrize("name", layer_equivalence.MODELS)
def test_transformers(name):
    architecture, options, recipe = layer_equivalence.MODELS[name]
    model, batch = layer_equivalence.language_model(architecture, **options)
    check(captured(model, batch), recipe, MACHINES[1:])


def test_dropout_in_bert():
    config = hf.BertConfig(
        vocab_size=32,
        num_attention_heads=2,
        max_position_embeddings=16,
        num_labels=3,
        **layer_equivalence.SIZES,
    )
    config._attn_implementation = "eager"
    batch = {"input_ids": torch.randint(3, 32, (2, 6)), "labels": torch.tensor([0, 2])}
    made = captured(hf.BertForSequenceClassification(config).train(), batch)
    check(made, Recipe("union", ratio=0.3, train=("classifier.*",)), MACHINES[1:])


# Models: name -> () -> (function, members, batch, recipe).


def perceptron():
    """Rows and columns of no particular order, which no permutation brings together."""
    net = nn.Sequential(nn.Linear(32, 48), nn.SiLU(), nn.Dropout(0.1), nn.Linear(48, 40), nn.GELU())

    def loss(m, b):
        return F.mse_loss(m.net(b["x"]), b["y"])

    batch = {"x": data(37, 32), "y": data(37, 40)}
    return loss, {"net": net}, batch, Recipe("block", ratio=0.2)


def images():
    """Convolutions with strides, batch norm with running statistics."""
    net = nn.Sequential(
        *[nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()],
        *[nn.Conv2d(4, 3, 4, stride=2, dilation=1), nn.Flatten()],
    )

    def loss(m, b):
        return F.cross_entropy(m.net(b["x"]), b["y"])

    batch = {"x": data(2, 3, 6, 6), "y": torch.tensor([0, 2])}
    return (
        loss,
        {"net": net},
        batch,
        masks("net.0.weight:rows=1+2", "net.3.weight:columns=1+3", train=("net.1.*",)),
    )


def movements():
    """Padding, concatenation, reversal, selection, running sums, scatters and gathers."""

    def loss(m, b):
        h = F.pad(m.a(b["x"]), (1, 2, 0, 1), value=0.5)
        h = torch.cat([h, torch.flip(h, [1])], 1)
        h = torch.where(b["keep"][:, None], h[:6], h[:6].cumsum(1))
        rows = b["rows"][:, None].expand_as(h)
        picked = torch.zeros(6, h.shape[1]).scatter_add(0, rows, h).gather(1, b["columns"])
        extra = h.std() + torch.logsumexp(h, 1).sum() + h[1].amax() + h.topk(2).values.sum()
        return (F.dropout(picked, 0.3) * m.p).square().mean() + extra

    batch = {
        "x": data(6, 4),
        "keep": torch.tensor([True, False, True, True, False, True]),
        "rows": torch.tensor([0, 3, 3, 1, 5, 0]),
        "columns": torch.randint(16, (6, 3)),
    }
    return (
        loss,
        {"a": nn.Linear(4, 5), "p": data(3)},
        batch,
        masks("a.weight:rows=1+3", train=("p",)),
    )


def written_in_place():
    def loss(m, b):
        hidden = m.layer(b["x"]).clone()
        hidden[b["y"] == 1] = 0.5
        hidden[:, 0] = 1.0
        hidden[..., 1] *= 2.0
        return hidden.square().mean()

    batch = {"x": data(3, 5, 8), "y": torch.randint(4, (3, 5))}
    return loss, {"layer": nn.Linear(8, 4)}, batch, masks("layer.weight:rows=1+3")


def tied():
    def loss(m, b):
        hidden = F.gelu(m.hidden(F.embedding(b["ids"], m.table)))
        return F.cross_entropy((hidden @ m.table.T).flatten(0, 1), b["ids"].flatten())

    members = {"table": data(11, 8), "hidden": nn.Linear(8, 8)}
    return loss, members, {"ids": torch.randint(11, (2, 6))}, FULL


MODELS = {f.__name__: f for f in (perceptron, images, movements, written_in_place, tied)}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dense", [True, False])
def test_models(name, dense):
    function, members, batch, recipe = MODELS[name]()
    check(captured(Model(function, members), batch), FULL if dense else recipe)


def test_running_statistics_follow_the_batches():
    def loss(m, b):
        return m.norm(m.a(b["x"])).pow(3).mean()

    members = {"a": nn.Linear(4, 6), "norm": nn.BatchNorm1d(6)}
    made = captured(Model(loss, members), {"x": data(8, 4)})
    check(made, masks("a.weight:rows=1+4", "norm.weight:rows=2"))


def test_bfloat16_models():
    model = Network().bfloat16()
    batch = {**network_batch(), "x": data(5, 4).bfloat16()}
    check(captured(model, batch), masks(f"b.weight:{UNION}", "a.weight:rows=1+4", "c.bias:rows=1"))


def test_double_precision_is_the_vector_units():
    made = captured(Network().double(), {**network_batch(), "x": data(5, 4).double()})
    recipe = masks(f"b.weight:{UNION}", "c.bias:rows=1")
    check(made, recipe)
    assert not accelerator(made.compile(recipe).text(), machine()).program.contractions


def test_half_precision_is_refused():
    model = Network().half()
    made = captured(model, {**network_batch(), "x": data(5, 4).half()})
    with pytest.raises(UserError, match="no element type 'f16'"):
        accelerator(made.compile(FULL).text(), machine())


def test_sessions_train_and_evaluate_as_the_interpreter():
    """Through the public interface: dropout draws the same numbers, rates change, losses agree."""
    function, members, batch, recipe = perceptron()
    plan = captured(Model(function, members), batch).compile(recipe)
    one, other = (
        Session.from_text(plan.text(), plan.stored_weights(), device=device)
        for device in ("ssft-hw:ssft-edge", "numpy:bf16")
    )
    for rate in (0.1, 0.02):
        one.learning_rate = other.learning_rate = rate
        assert one.evaluate(batch) == other.evaluate(batch)
        assert one.step(batch) == other.step(batch)
    for name, weight in one.state_dict().items():
        assert same_bits(np.asarray(weight), np.asarray(other.state_dict()[name])), name
