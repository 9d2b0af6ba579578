"""Saved activations of a well-fused implementation: the least that needs no recomputed products.

Attention is one kernel that keeps q, k, v, its output and one statistic per head (FlashAttention,
arXiv 2205.14135, section 3.1). Norms keep their input and one statistic; frozen norms need nothing
else. No dropout. Inputs of matrices whose gradient reads all of them are kept, as PyTorch keeps
them; selected columns cost nothing where they are slices of something kept anyway, or element-wise
functions of such slices.

Llama, everything or LoRA on everything: h + h + 3h + h + h + h + 2f + f = 8h + 3f elements.
S2FT on ``o`` and ``down``: without the two norms' outputs and the gated product, 6h + 2f.
A compiler that recomputes element-wise values brings full fine-tuning to 6h + 2f, too: see
`compiled`.
"""

from __future__ import annotations

from ssft.compiler.cost_model.activations.saved import (
    LayerView,
    Saved,
    low_rank_channels,
    present,
)


def layer_saved(layer: LayerView, each: int = 2) -> list[Saved]:
    """Returns what one layer keeps; `each` is the bytes of an element, statistics have 4."""
    shapes, active = layer.architecture, layer.active
    hidden, channels = shapes.hidden, shapes.feed_forward
    width, key_value = shapes.attention_width, shapes.key_value_width
    inputs = shapes.feed_forward_inputs
    attention_output = width if active.attention else layer.kept("o")
    # A slice of the gated product is made again from the slices of gate and up.
    product = layer.kept("down") if layer.needs_whole("down") or not active.inner else 0
    return [
        *present(
            (active.input, Saved("input of norm 1", hidden, each)),
            (active.input, Saved("statistic of norm 1", 1, 4, channels=False)),
            (True, Saved("output of norm 1", layer.kept("q", "k", "v"), each)),
            (active.attention, Saved("q, k, v", width + 2 * key_value, each, region="inner")),
            (active.attention, Saved("softmax statistic", shapes.heads, 4, False, "inner")),
            (True, Saved("attention output", attention_output, each, region="inner")),
            (active.feed_forward_input, Saved("input of norm 2", hidden, each)),
            (active.feed_forward_input, Saved("statistic of norm 2", 1, 4, channels=False)),
            (True, Saved("output of norm 2", layer.kept(*inputs), each)),
            (active.inner, Saved("gate and up", len(inputs) * channels, each, region="inner")),
            (True, Saved("input of down", product, each, region="inner")),
        ),
        *low_rank_channels(layer, each),
    ]


def outer_saved(layer: LayerView, each: int = 2) -> list[Saved]:
    """Returns what the last norm, the head and the loss keep; `layer` is the last one."""
    shapes, trains = layer.architecture, layer.method.outer > 0
    return present(
        (layer.active.output, Saved("input of the last norm", shapes.hidden, each)),
        (layer.active.output, Saved("statistic of the last norm", 1, 4, channels=False)),
        (trains, Saved("input of the head", shapes.hidden, each)),
        (layer.active.output, Saved("logits", shapes.vocabulary, each, region="inner")),
    )


def loss_temporaries(layer: LayerView, each: int = 2) -> list[Saved]:
    """Returns what lives beside everything saved when the backward pass begins.

    Softmax works in fp32: its result, onto which the gradient of the logits is written.
    """
    vocabulary = layer.architecture.vocabulary
    return [Saved("softmax of the logits, fp32", vocabulary, 4, region="inner")]
