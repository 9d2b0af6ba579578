"""Saved activations of a plan of this compiler (attention decomposed, element-wise recomputed).

Equal, byte for byte, to what `ssft.compiler.analysis.liveness.saved_activations` counts in the plan
of a transformers Llama with scaled_dot_product_attention; tests compare them. Differences from
`fused`, and why:

* attention is decomposed into products and softmax, so the probabilities are kept, heads x S per
  token, and not the attention output and one statistic per head;
* element-wise values are recomputed (pass ``ssft-rematerialize``): the outputs of norms and the
  gated product are never kept whole, so full fine-tuning, too, keeps 6h + 2f + heads x S;
* selected columns are kept as copies (``ssft.save_slice``), k elements per token for each matrix,
  because the tensors that they are slices of are not kept;
* a low-rank adapter keeps its r channels; its input is recomputed like any norm's output;
* the first layer's input is not kept: it is looked up in the embedding again;
* of a bf16 model, values have 2 bytes even where they are widened to compute in fp32. In fp32
  are what has never been narrower: probabilities and norms' statistics; the loss keeps the logits
  and two fp32 numbers of each token instead of the fp32 log-softmax.
"""

from __future__ import annotations

from ssft.compiler.cost_model.activations.saved import (
    LayerView,
    Saved,
    low_rank_channels,
    present,
)


def layer_saved(layer: LayerView, each: int = 4) -> list[Saved]:
    """Returns what one layer keeps; `each` is the bytes of an element of the model's dtype."""
    shapes, active = layer.architecture, layer.active
    hidden, inner = shapes.hidden, shapes.feed_forward
    width, wide = shapes.attention_width, max(each, 4)
    in_block = active.inner or layer.needs_whole("down")
    first = active.input or layer.needs_whole("q", "k", "v")
    second = active.feed_forward_input or layer.needs_whole(*shapes.feed_forward_inputs)
    values = present(
        (first and layer.index, Saved("input of norm 1", hidden, each)),
        (first, Saved("statistic of norm 1", 1, wide, channels=False)),
        (True, Saved("slices of the output of norm 1", _slices(layer, "q", "k", "v"), each)),
        (active.key, Saved("q", width, each, region="inner")),
        (active.query, Saved("k", shapes.key_value_width, each, region="inner")),
        (active.scores, Saved("v", shapes.key_value_width, each, region="inner")),
        (
            active.attention,
            Saved("probabilities", shapes.heads * layer.length, wide, region="inner"),
        ),
        (True, Saved("attention output, or its slice", layer.kept("o"), each, region="inner")),
        (second, Saved("input of norm 2", hidden, each)),
        (second, Saved("statistic of norm 2", 1, wide, channels=False)),
        (
            True,
            Saved(
                "slices of the output of norm 2",
                _slices(layer, *shapes.feed_forward_inputs),
                each,
            ),
        ),
        (in_block, Saved("gate", inner, each, region="inner")),
        (in_block, Saved("up", inner, each, region="inner")),
        (True, Saved("slice of the input of down", _slices(layer, "down"), each, region="inner")),
    )
    return [*values, *low_rank_channels(layer, each)]


def _slices(layer: LayerView, *projections: str) -> int:
    """Channels of the copies that matrices of one input keep."""
    return sum(layer.kept(name) for name in projections if not layer.needs_whole(name))


def outer_saved(layer: LayerView, each: int = 4) -> list[Saved]:
    """Returns what the last norm, the loss and the rotary tables keep; `layer` is the last one."""
    shapes, active, wide = layer.architecture, layer.active, max(each, 4)
    logits = "logits" if each < wide else "log-softmax"
    return present(
        (active.attention, Saved("rotary tables", 2 * shapes.head_size, each, False, "replicated")),
        (active.output, Saved("input of the last norm", shapes.hidden, each)),
        (active.output, Saved("statistic of the last norm", 1, wide, channels=False)),
        (active.output, Saved(logits, shapes.vocabulary, each, region="inner")),
        (
            active.output and each < wide,
            Saved("maximum and logarithm of the logits", 2, wide, channels=False),
        ),
    )


def loss_temporaries(layer: LayerView, each: int = 4) -> list[Saved]:
    """Returns what lives beside everything saved when the backward pass begins.

    The fp32 gradient of the logits, unless it is written onto the log-softmax.
    """
    vocabulary = layer.architecture.vocabulary
    active = layer.active.output and each < 4
    return present((active, Saved("softmax of the logits, fp32", vocabulary, 4, region="inner")))
