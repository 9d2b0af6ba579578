"""Shapes of decoder-only transformers: all that a static cost needs to know of a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ssft.compiler.diagnostics import UserError

ATTENTION = ("q", "k", "v", "o")
"""The projections of an attention block: query, key, value, output."""

FEED_FORWARD = ("gate", "up", "down")
"""The projections of a gated feed-forward block; a plain one has no gate."""

SPLIT_BY_INPUTS = ("o", "down")
"""Projections whose inputs tensor parallelism splits: each sums over its axis. The other ones are
split by their outputs (Megatron-LM, arXiv 1909.08053, section 3)."""


@dataclass(frozen=True)
class Linear:
    """A linear layer ``y = x Wᵀ + b`` with W of shape [`outputs`, `inputs`]."""

    name: str
    outputs: int
    inputs: int
    bias: bool = False

    @property
    def weights(self) -> int:
        """Elements of the weight matrix, without the bias."""
        return self.outputs * self.inputs

    @property
    def parameters(self) -> int:
        """Elements of the weight matrix and the bias."""
        return self.weights + (self.outputs if self.bias else 0)


@dataclass(frozen=True)
class Architecture:
    """A decoder-only transformer. Sizes are numbers of elements.

    `gated`: the feed-forward block is ``down(act(gate(x)) * up(x))``, else ``down(act(up(x)))``.
    `norm_vectors`: parameters of a norm over `hidden`: 1 for RMSNorm, 2 for LayerNorm.
    `positions`: rows of a table of learned positions, 0 for rotary and other computed positions.
    `tied`: the output head is the embedding.
    """

    name: str
    hidden: int
    feed_forward: int
    layers: int
    heads: int
    key_value_heads: int
    head_size: int
    vocabulary: int
    gated: bool = True
    tied: bool = False
    qkv_bias: bool = False
    output_bias: bool = False
    feed_forward_bias: bool = False
    norm_vectors: int = 1
    positions: int = 0

    def __post_init__(self) -> None:
        for field in ("hidden", "feed_forward", "layers", "heads", "head_size", "vocabulary"):
            if getattr(self, field) < 1:
                raise UserError(f"architecture '{self.name}': {field} must be at least 1")
        if self.key_value_heads < 1 or self.heads % self.key_value_heads:
            raise UserError(
                f"architecture '{self.name}': {self.heads} heads cannot share "
                f"{self.key_value_heads} key/value heads"
            )

    @property
    def attention_width(self) -> int:
        """Channels of the queries and of the attention output: heads x head size."""
        return self.heads * self.head_size

    @property
    def key_value_width(self) -> int:
        """Channels of the keys, and of the values: key/value heads x head size."""
        return self.key_value_heads * self.head_size

    @property
    def feed_forward_inputs(self) -> tuple[str, ...]:
        """Names of the projections into the feed-forward block's inner channels."""
        return ("gate", "up") if self.gated else ("up",)

    def linears(self) -> Iterator[Linear]:
        """Yields the linear layers of one transformer layer in the order of the forward pass."""
        hidden, inner = self.hidden, self.feed_forward
        yield Linear("q", self.attention_width, hidden, self.qkv_bias)
        yield Linear("k", self.key_value_width, hidden, self.qkv_bias)
        yield Linear("v", self.key_value_width, hidden, self.qkv_bias)
        yield Linear("o", hidden, self.attention_width, self.output_bias)
        for name in self.feed_forward_inputs:
            yield Linear(name, inner, hidden, self.feed_forward_bias)
        yield Linear("down", hidden, inner, self.feed_forward_bias)

    def linear(self, name: str) -> Linear:
        """Returns a linear layer by name; UserError if this architecture has none of that name."""
        for linear in self.linears():
            if linear.name == name:
                return linear
        names = ", ".join(linear.name for linear in self.linears())
        raise UserError(f"'{self.name}' has no projection '{name}'", notes=[f"it has {names}"])

    @property
    def head(self) -> Linear:
        """The output head, from hidden states to logits."""
        return Linear("head", self.vocabulary, self.hidden)

    @property
    def layer_parameters(self) -> int:
        """Parameters of one layer: its linear layers and its two norms."""
        norms = 2 * self.norm_vectors * self.hidden
        return sum(linear.parameters for linear in self.linears()) + norms

    @property
    def outer_parameters(self) -> int:
        """Parameters outside of the layers: embeddings, learned positions, last norm, head."""
        tables = self.vocabulary * (1 if self.tied else 2) + self.positions
        return (tables + self.norm_vectors) * self.hidden

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.layers * self.layer_parameters + self.outer_parameters
