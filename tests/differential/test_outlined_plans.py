"""Plans in whose files repeated layers are functions: the same plans as those written flat."""

from __future__ import annotations

from functools import cache, partial

import families
import numpy as np
import pytest
import torch
from side_by_side import Captured
from small_models import captured
from torch import Tensor, nn
from torch.nn import functional as F

from ssft.compiler import Recipe, compile
from ssft.compiler.analysis.step import OUTLINED
from ssft.compiler.outlining import parse_flat
from ssft.compiler.plan import Plan
from ssft.dialects import new_context
from ssft.dialects._mlir import ir
from ssft.runtime import Session

S2FT = Recipe("s2ft", ratio=0.25)


class Layer(nn.Module):
    """Attention over `memory`, with a norm before it, or over itself, with a norm behind."""

    def __init__(self, *, cross: bool, dropout: float) -> None:
        super().__init__()
        self.cross, self.dropout = cross, dropout
        self.norm = nn.LayerNorm(8)
        self.q, self.k, self.v, self.o = (nn.Linear(8, 8, bias=False) for _ in range(4))
        self.up, self.down = nn.Linear(8, 12), nn.Linear(12, 8)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        query = self.norm(x) if self.cross else x
        weights = (self.q(query) @ self.k(memory).transpose(-1, -2)).softmax(-1)
        weights = F.dropout(weights, self.dropout, self.training)
        x = x + self.o(weights @ self.v(memory))
        x = x + self.down(F.silu(self.up(x)))
        return x if self.cross else self.norm(x)


class Transformer(nn.Module):
    """`encoder` layers, then `decoder` layers that read what the last of them says."""

    def __init__(self, encoder: int, decoder: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        makers = [partial(Layer, cross=cross, dropout=dropout) for cross in (False, True)]
        self.encoder = nn.ModuleList(makers[0]() for _ in range(encoder))
        self.decoder = nn.ModuleList(makers[1]() for _ in range(decoder))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.encoder:
            x = layer(x, x)
        memory = x
        for layer in self.decoder:
            x = layer(x, memory)
        return x.square().mean()


class Chain(nn.Module):
    def __init__(self, length: int) -> None:
        super().__init__()
        pairs = [(nn.Linear(8, 12), nn.Linear(12, 8)) for _ in range(length)]
        self.blocks = nn.ModuleList(nn.Sequential(*pair) for pair in pairs)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = torch.tanh(x + block(x))
        return x.square().mean()


def llama():
    sizes = families.SIZES | {"num_hidden_layers": 5}
    return families.decoder("Llama", num_key_value_heads=2, **sizes)


MODELS = {
    "llama": llama,
    "both": lambda: (Transformer(5, 5, 0.1), {"x": torch.randn(2, 4, 8)}),
    "two": lambda: (Transformer(2), {"x": torch.randn(2, 4, 8)}),
    "chain of 6": lambda: (Chain(6), {"x": torch.randn(4, 8)}),
    "chain of 9": lambda: (Chain(9), {"x": torch.randn(4, 8)}),
}


@cache
def model(name: str) -> Captured:
    torch.manual_seed(0)
    made, batch = MODELS[name]()
    return captured(made.train(), batch)


def reread(text: str) -> str:
    return parse_flat(text).operation.get_asm(enable_debug_info=True) + "\n"


def counts(plan: Plan) -> tuple[int, int]:
    """How many operations the file's step has besides calls, and how many its functions have."""
    module = ir.Module.parse(plan.file_text(), new_context())
    step, outlined = 0, 0
    for function in module.body.operations:
        names = [op.operation.name for op in function.regions[0].blocks[0].operations]
        if OUTLINED in function.attributes:
            outlined += len(names)
        else:
            step += sum(name != "func.call" for name in names)
    return step, outlined


CASES = {
    "full": ("both", Recipe("full")),
    "encoder and decoder": ("both", S2FT),
    "lists of each layer": ("chain of 9", Recipe("paca", ratio=0.25)),
    "grouped queries": ("llama", S2FT),
    "rows and columns": ("llama", Recipe("union", ratio=0.1)),
    "blocks": ("llama", Recipe("block", ratio=0.3, seed=1)),
    "index arguments": ("llama", Recipe("s2ft", ratio=0.1, reselect=5)),
    "few layers": ("chain of 6", S2FT),
}


@pytest.mark.parametrize("case", CASES)
def test_a_plan_is_read_as_it_would_have_been_written_flat(case):
    name, recipe = CASES[case]
    plan = model(name).compile(recipe)
    text, flat = plan.file_text(), plan.text()
    assert OUTLINED in text
    assert len(text) < 0.95 * len(flat)
    assert reread(text) == flat


def test_two_layers_are_no_functions():
    plan = model("two").compile(S2FT)
    assert OUTLINED not in plan.file_text()
    assert reread(plan.file_text()) == plan.text()


def test_more_layers_are_more_calls_and_nothing_else():
    plans = [model(name).compile(Recipe("full")) for name in ("chain of 6", "chain of 9")]
    assert counts(plans[0]) == counts(plans[1])
    lengths = [len(plan.text().splitlines()) for plan in plans]
    assert lengths[1] > 1.2 * lengths[0]


@pytest.mark.parametrize("device", ["cpu", "ssft-hw:ssft-edge:f32"])
def test_training_is_the_same_in_every_bit(device, tmp_path):
    torch.manual_seed(0)
    batch = {"x": torch.randn(4, 8)}
    plan = compile(
        Chain(6), batch, loss=lambda out, batch: out, recipe=S2FT.changed({"ratio": 0.5})
    )
    sessions = []
    for outlined in (True, False):
        plan.outlined = outlined
        path = tmp_path / f"{outlined}.mlir"
        plan.save(path)
        assert (OUTLINED in path.read_text()) == outlined
        sessions.append(Session(path, device, cache=False))
    losses = [[session.step(batch) for _ in range(3)] for session in sessions]
    assert losses[0] == losses[1] and len(set(losses[0])) == 3
    one, other = (session.state_dict() for session in sessions)
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name])


def test_a_checkpoint_of_either_form_resumes_with_the_other(tmp_path):
    """They are the same plan, whatever the files are called."""
    torch.manual_seed(0)
    batch = {"x": torch.randn(4, 8)}
    plan = compile(Chain(6), batch, loss=lambda out, batch: out, recipe=S2FT)
    sessions = []
    for outlined in (True, False):
        plan.outlined = outlined
        plan.save(tmp_path / f"{outlined}.mlir")
        sessions.append(Session(tmp_path / f"{outlined}.mlir"))
    for one, other in (sessions, reversed(sessions)):
        one.step(batch)
        one.save(tmp_path / "run.ckpt")
        wanted = [one.step(batch) for _ in range(2)]
        other.load(tmp_path / "run.ckpt")
        assert [other.step(batch) for _ in range(2)] == wanted
