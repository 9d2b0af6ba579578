"""Attention in blocks, with what masks hide left out, against masked PyTorch, to 1e-12 in double.

Blocks have seven rows and masks leave out eight columns at a time, so that there are several of
them, and a last one of another size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import pytest
import torch
from small_blocks import small_blocks
from small_models import Model, captured, check, data, masks
from torch import Tensor, nn
from torch.nn import functional as F

from ssft.runtime import Session

LENGTH, WIDTH, HEADS = 64, 32, 8
RECIPE = masks("q.weight:rows=0-3", "v.weight:columns=1+30", "o.weight:columns=4-7", train=("k.*",))

Mask = Callable[[nn.Module, Mapping[str, Tensor]], Tensor]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def split(x: Tensor, heads: int = HEADS) -> Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def positions() -> tuple[Tensor, Tensor]:
    index = torch.arange(LENGTH)
    return index[:, None], index[None, :]


def causal(_m: nn.Module, _b: Mapping[str, Tensor]) -> Tensor:
    row, column = positions()
    return column <= row


def window(_m: nn.Module, _b: Mapping[str, Tensor]) -> Tensor:
    row, column = positions()
    return (column <= row) & (column > row - 20)


def padding(_m: nn.Module, b: Mapping[str, Tensor]) -> Tensor:
    return (torch.arange(LENGTH) < b["lengths"][:, None])[:, None, None, :]


def packed(_m: nn.Module, b: Mapping[str, Tensor]) -> Tensor:
    row, column = positions()
    same = b["documents"][:, :, None] == b["documents"][:, None, :]
    return (same & (column <= row))[:, None]


def explicit(mask: Mask, fill: float = -math.inf) -> Callable[..., Tensor]:
    """Attention written out: scores, ``masked_fill``, softmax."""

    def attend(m: nn.Module, b: Mapping[str, Tensor], q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        return scores.masked_fill(~mask(m, b), fill).softmax(-1) @ v

    return attend


def sdpa(mask: Mask | None = None, **options: object) -> Callable[..., Tensor]:
    def attend(m: nn.Module, b: Mapping[str, Tensor], q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        chosen = mask(m, b) if mask else None
        return F.scaled_dot_product_attention(q, k, v, attn_mask=chosen, **options)

    return attend


def grouped(m: nn.Module, b: Mapping[str, Tensor], q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Both heads of queries share the first head of keys and values."""
    k, v = (x[:, :1].repeat_interleave(HEADS, dim=1) for x in (k, v))
    return explicit(causal)(m, b, q, k, v)


def capped(m: nn.Module, b: Mapping[str, Tensor], q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = 2 * torch.tanh(q @ k.transpose(-1, -2) / 2)
    return scores.masked_fill(~causal(m, b), -math.inf).softmax(-1) @ v


def biased(m: nn.Module, b: Mapping[str, Tensor], q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """A bias that is trained: its gradient is that of the scores, which are needed as a whole."""
    scores = q @ k.transpose(-1, -2) + m.bias
    return scores.masked_fill(~causal(m, b), -math.inf).softmax(-1) @ v


def poisoned(m: nn.Module, b: Mapping[str, Tensor], q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return sdpa(padding)(m, b, q, k, v + b["poison"])


def gated(m: nn.Module, b: Mapping[str, Tensor], q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """What the mask is compared with is computed row by row as the scores are."""
    least = b["gate"].mean(-1, keepdim=True)
    scores = (q @ k.transpose(-1, -2)).masked_fill(b["gate"] < least, -math.inf)
    return scores.softmax(-1) @ v


def shifted(m: nn.Module, b: Mapping[str, Tensor], q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Probabilities are used one column further, too, than where the mask leaves them."""
    p = (q @ k.transpose(-1, -2)).masked_fill(~causal(m, b), -math.inf).softmax(-1)
    return (F.pad(p, (1, 0))[..., :-1] + p) @ v


def stacked(m: nn.Module, b: Mapping[str, Tensor], q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Scores that are not masked lie in one buffer with probabilities that are."""
    scores = q @ k.transpose(-1, -2)
    p = scores.masked_fill(~causal(m, b), -math.inf).softmax(-1)
    whole = torch.stack([torch.tanh(scores * c) for c in range(1, 8)] + [p], -2)
    sums = torch.tanh(whole.sum(-1))
    return p @ v * sums[..., :4] + sums[..., 4:]


def beside(m: nn.Module, b: Mapping[str, Tensor], q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Exponentials of scores that are not masked are used as those are that are."""
    scores = q @ k.transpose(-1, -2)
    p = scores.masked_fill(~causal(m, b), -math.inf).softmax(-1)
    return (p + torch.exp(scores) / LENGTH) @ v


def network(attend: Callable[..., Tensor], **members: object) -> Model:
    def loss(m: nn.Module, b: Mapping[str, Tensor]) -> Tensor:
        q, k, v = (split(layer(b["x"])) for layer in (m.q, m.k, m.v))
        heads = attend(m, b, q, k, v)
        out = b["x"] + m.o(heads.transpose(1, 2).flatten(2))
        return (out.square() * b["y"]).mean()

    layers = {name: nn.Linear(WIDTH, WIDTH) for name in "qkvo"}
    return Model(loss, layers | members)


def batch() -> dict[str, Tensor]:
    return {"x": data(2, LENGTH, WIDTH), "y": data(2, LENGTH, 1)}


LENGTHS = {"lengths": torch.tensor([64, 13])}
DOCUMENTS = {"documents": torch.tensor([[0] * 15 + [1] * 49, [0] * 61 + [1] * 3])}

CASES: dict[str, tuple[Callable[..., Tensor], dict[str, Tensor], bool]] = {
    "none": (sdpa(), {}, False),
    "causal": (explicit(causal), {}, True),
    "causal, sdpa": (sdpa(is_causal=True), {}, True),
    "causal, of scores that were capped": (capped, {}, True),
    "sliding window": (explicit(window), {}, True),
    "sliding window, sdpa": (sdpa(window), {}, True),
    "padding": (sdpa(padding), LENGTHS, True),
    "documents": (sdpa(packed), DOCUMENTS, True),
    "finite": (explicit(causal, torch.finfo(torch.float64).min), {}, False),
    "shared keys": (grouped, {}, True),
}
"""Attention, what its mask needs, and whether what is masked is left out."""


@pytest.mark.parametrize("name", CASES)
def test_attention(name, tmp_path):
    attend, inputs, hides = CASES[name]
    made = captured(network(attend), batch() | inputs)
    with small_blocks(tmp_path) as found:
        check(made, RECIPE)
    assert True in found.sums and False in found.sums  # the backward pass, and the forward pass
    assert bool(found.masked) == hides


@pytest.mark.parametrize("name", ["causal", "causal, sdpa"])
def test_what_is_saved_has_zeros_where_the_mask_hides(name, tmp_path):
    made = captured(network(CASES[name][0]), batch())
    with small_blocks(tmp_path, again=False) as found:
        check(made, RECIPE)
    assert found.sums and not found.masked


def test_scores_that_are_needed_as_a_whole(tmp_path):
    model = network(biased, bias=nn.Parameter(data(HEADS, LENGTH, LENGTH)))
    with small_blocks(tmp_path) as found:
        check(captured(model, batch()), masks("q.weight:rows=0-3", train=("bias", "k.*")))
    assert found.masked == 1 and len(found.masks) > 1  # the forward pass


@pytest.mark.parametrize("attend", [gated, shifted, stacked, beside])
def test_masks_that_do_not_say_what_is_needed(attend, tmp_path):
    made = captured(network(attend), batch() | {"gate": data(2, HEADS, LENGTH, LENGTH)})
    with small_blocks(tmp_path) as found:
        check(made, masks("o.weight:columns=4-7"), steps=2)
    assert found.sums and not found.masked


@pytest.mark.parametrize("rows, columns", [(64, 64), (1, 32), (16, 5)])
def test_sizes_of_blocks(rows, columns, tmp_path):
    """All rows in one block, single rows, and chunks of which none divides the columns: four."""
    made = captured(network(explicit(window)), batch())
    with small_blocks(tmp_path, rows, columns) as found:
        check(made, RECIPE, steps=2)
    assert len(found.sums) == 2 and found.masked == (2 if columns == 32 else 0)


def test_what_a_mask_hides_is_not_computed(tmp_path):
    """Values behind the mask are infinite: a probability of zero times infinity is no number."""
    poison = torch.zeros(2, 1, LENGTH, 1)
    poison[:, :, 32:] = math.inf
    inputs = {"lengths": torch.tensor([20, 13]), "poison": poison}
    made = captured(network(poisoned), batch() | inputs)
    plan = made.compile(RECIPE)
    losses = []
    for again in (True, False):
        with small_blocks(tmp_path / str(again), again=again), made.precision():
            session = Session.from_text(plan.text(), plan.stored_weights(), allow_non_finite=True)
            losses += [session.step(made.batch), session.step(made.batch)]
    assert all(map(math.isfinite, losses[:2])) and losses[0] != losses[1]
    assert math.isnan(losses[2])
