"""Saved activations of PyTorch's autograd on transformers' decoder layers, eager attention, bf16.

Each operation keeps what its derivative formula names (torch's derivatives.yaml), nothing is
recomputed, and each storage counts once. Derived operation by operation from transformers'
modeling_llama.py; tests/unit/cost_model compares each term with autograd's own saved tensors, on
tensors without data.

* norms work in fp32: their input is kept in fp32, their bf16 output before the scale if the scale
  trains;
* attention keeps the probabilities twice, in fp32 for softmax and in bf16 for the product: the
  6 x heads x S bytes per token of every layer that dominate long sequences. Grouped keys and values
  are repeated to all heads before they are kept;
* ``silu(gate) * up`` keeps gate, silu(gate) and up;
* a matrix that trains keeps its whole input, whatever part of it trains: so does the published S2FT
  code for ``o`` and ``down`` (efficiency/s2ft.py of Infini-AI-Lab/S2FT, a58edbb, S2RowLinear).
  `eager_partial` keeps copies of the selected channels instead;
* a low-rank adapter (peft) works in fp32 and keeps, per target, its own fp32 copy of the input
  after dropout, a one-byte dropout mask, and its r channels. DoRA keeps two products more, in bf16
  (INF: fits the published bars; not compared with autograd).
"""

from __future__ import annotations

from collections.abc import Iterator

from ssft.compiler.cost_model.activations.saved import LayerView, Region, Saved, inner, present
from ssft.compiler.cost_model.architecture import SPLIT_BY_INPUTS
from ssft.compiler.cost_model.training import LowRank


def layer_saved(layer: LayerView, each: int = 2, *, partial: bool = False) -> list[Saved]:
    """Returns what one layer keeps; `each` is the bytes of an element of the model's dtype.

    With `partial`, selected input channels are kept as copies instead of the whole input.
    """
    inputs = layer.architecture.feed_forward_inputs
    second = layer.active.feed_forward_input
    return [
        *_norm(layer, layer.active.input, "norm 1", each),
        *_input(layer, partial, "output of norm 1", ("q", "k", "v"), each),
        *inner(_attention(layer, each)),
        *inner(_input(layer, partial, "attention output", ("o",), each)),
        *_norm(layer, second, "norm 2", each),
        *_input(layer, partial, "output of norm 2", inputs, each),
        *inner(_feed_forward(layer, each)),
        *inner(_input(layer, partial, "input of down", ("down",), each)),
        *_adapters(layer, each),
    ]


def _norm(layer: LayerView, active: bool, name: str, each: int) -> list[Saved]:
    hidden = layer.architecture.hidden
    return present(
        (active, Saved(f"input of {name}, fp32", hidden, 4)),
        (active, Saved(f"statistic of {name}", 1, 4, channels=False)),
        (layer.method.outer > 0, Saved(f"{name} before its scale", hidden, each)),
    )


def _input(
    layer: LayerView, partial: bool, name: str, readers: tuple[str, ...], each: int
) -> list[Saved]:
    """The common input of `readers`, as far as their own weights' gradients read it.

    Adapters keep copies of their own.
    """
    own = [reader for reader in readers if not isinstance(layer.training(reader), LowRank)]
    copied = sum(layer.kept(reader) for reader in own)
    if partial and not any(layer.needs_whole(reader) for reader in own):
        return present((True, Saved(f"slices of the {name}", copied, each)))
    whole = layer.architecture.linear(readers[0]).inputs
    return present((copied, Saved(name, whole, each)))


def _attention(layer: LayerView, each: int) -> list[Saved]:
    shapes, active = layer.architecture, layer.active
    width, scores = shapes.attention_width, shapes.heads * layer.length
    return present(
        (active.key, Saved("q", width, each)),
        (active.query, Saved("k, repeated to all heads", width, each)),
        (active.scores, Saved("v, repeated to all heads", width, each)),
        (active.scores, Saved("softmax, fp32", scores, 4)),
        (active.value, Saved("probabilities", scores, each)),
    )


def _feed_forward(layer: LayerView, each: int) -> list[Saved]:
    active, channels = layer.active, layer.architecture.feed_forward
    return present(
        (active.gate, Saved("gate", channels, each)),
        (active.up, Saved("silu(gate)", channels, each)),
        (active.gate, Saved("up", channels, each)),
    )


def _adapters(layer: LayerView, each: int) -> Iterator[Saved]:
    for linear in layer.architecture.linears():
        kind = layer.training(linear.name)
        if not isinstance(kind, LowRank):
            continue
        region: Region = "inner" if linear.name in SPLIT_BY_INPUTS else "residual"
        yield Saved(f"adapter input of {linear.name}, fp32", linear.inputs, 4, region=region)
        yield Saved(f"dropout mask of {linear.name}", linear.inputs, 1, region=region)
        yield Saved(f"low-rank channels of {linear.name}, fp32", kind.rank, 4, False, "replicated")
        if kind.magnitude:
            yield Saved(f"products that {linear.name} is scaled from", 2 * linear.outputs, each)


def outer_saved(layer: LayerView, each: int = 2) -> list[Saved]:
    """Returns what the last norm, the head, the loss and the rotary tables keep.

    `layer` is the last one. The rotary tables, cosines and sines of a head, are shared by all
    layers and all sequences of a batch; they are counted as if for each.
    """
    shapes, active = layer.architecture, layer.active.output
    hidden, trains = shapes.hidden, layer.method.outer > 0
    rotary = 0 if shapes.positions else 2 * shapes.head_size
    return present(
        (layer.active.attention, Saved("rotary tables", rotary, each, False, "replicated")),
        (active, Saved("input of the last norm, fp32", hidden, 4)),
        (active, Saved("statistic of the last norm", 1, 4, channels=False)),
        (trains, Saved("last norm before its scale", hidden, each)),
        (trains, Saved("input of the head", hidden, each)),
        (active, Saved("log-softmax, fp32", shapes.vocabulary, 4, region="inner")),
    )


def loss_temporaries(layer: LayerView, each: int = 2) -> list[Saved]:
    """Returns what lives beside everything saved when the backward pass begins.

    The outputs' fp32 logits, which a training loop holds until its step ends, and the gradients
    behind and before log-softmax, in fp32.
    """
    vocabulary = layer.architecture.vocabulary
    return [
        Saved("logits held by the outputs, fp32", vocabulary, 4, region="inner"),
        Saved("gradient of log-softmax, fp32", vocabulary, 4, region="inner"),
        Saved("gradient of the logits, fp32", vocabulary, 4, region="inner"),
    ]
