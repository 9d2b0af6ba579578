"""Ranges of integer inputs are derived from how they are used, and other indices are clamped."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ssft.compiler.diagnostics import UserError
from ssft.compiler.frontend import capture


def ranges(captured):
    return {a.name: (a.value_range, a.ignore) for a in captured.arguments if a.role == "input"}


def clamps(captured):
    return sum("clamp" in str(node.target) for node in captured.graph.graph.nodes)


@pytest.fixture
def capture_of(from_batch):
    def run(function, batch, **members):
        members.setdefault("table", nn.Embedding(10, 4))
        return capture(from_batch(function, **members), batch)

    return run


def test_embedding_and_shifted_labels(capture_of):
    def step(m, b):
        hidden = m.table(b["ids"].view(-1).reshape(2, 6).t().contiguous().t())
        labels = F.pad(b["labels"].to(torch.int64), (0, 1), value=-100)[:, 1:]
        return F.cross_entropy(hidden.flatten(0, 1), labels.reshape(-1))

    labels = torch.randint(4, (2, 6), dtype=torch.int32)
    captured = capture_of(step, {"ids": torch.randint(10, (2, 6)), "labels": labels})
    assert ranges(captured) == {"ids": ((0, 10), None), "labels": ((0, 4), -100)}
    assert clamps(captured) == 0
    assert "cf.assert" not in str(captured.module)


def test_ignore_index_that_is_a_class_and_two_uses(capture_of):
    def step(m, b):
        logits = m.table(b["x"])  # 4 classes, and x is used as a label too
        return F.cross_entropy(logits, b["x"], ignore_index=1)

    captured = capture_of(step, {"x": torch.tensor([0, 1, 3])})
    assert ranges(captured) == {"x": ((0, 4), None)}


def test_advanced_indices_may_count_from_the_end(capture_of):
    captured = capture_of(lambda m, b: m.table.weight[b["i"]].sum(), {"i": torch.tensor([1, -1])})
    assert ranges(captured) == {"i": ((-10, 10), None)}


def test_columns_with_their_own_ranges_are_clamped(capture_of, run_graph):
    """A table of categories: one range for the whole input would refuse legal batches."""

    def step(m, b):
        return (m.table(b["x"][:, 0]) + m.other(b["x"][:, 1])).square().mean()

    x = torch.tensor([[9, 0], [3, 99]])
    captured = capture_of(step, {"x": x}, other=nn.Embedding(100, 4))
    assert ranges(captured) == {"x": (None, None)}
    assert clamps(captured) == 2
    captured.example_batch["x"] = torch.tensor([[10**6, -5], [3, 99]])
    assert all(torch.isfinite(torch.tensor(run_graph(captured, steps=1).losses)))


def test_computed_indices(capture_of):
    def step(m, b):
        positions = m.table(torch.arange(6)).sum() + m.table(b["x"] % 10).sum()
        best = m.table.weight.gather(1, b["y"].argmax(1, keepdim=True)[:1]).sum()
        return positions + best + m.table((b["y"] > 0).long().cumsum(1)).sum()

    batch = {"x": torch.tensor([3, -70]), "y": torch.randn(10, 4)}
    captured = capture_of(step, batch)
    assert ranges(captured) == {"x": (None, None), "y": (None, None)}
    assert clamps(captured) == 1  # the running count; the others are in range by construction


def test_buffers_are_checked_now(capture_of):
    legal = capture_of(lambda m, b: m.table(m.i).sum() * b["x"], {"x": torch.ones(())}, i=buffer(9))
    assert clamps(legal) == 0
    beyond = capture_of(
        lambda m, b: m.table(m.i).sum() * b["x"], {"x": torch.ones(())}, i=buffer(10)
    )
    assert clamps(beyond) == 1


def buffer(last):
    return nn.Buffer(torch.tensor([0, last]))


def test_contradictory_uses_are_refused(capture_of):
    def step(m, b):
        masked = F.cross_entropy(m.table(b["x"]), b["x"])
        return masked + m.none(b["x"]).sum()

    with pytest.raises(UserError, match="'x' is used as two indices with no common legal value"):
        capture_of(step, {"x": torch.tensor([1])}, none=nn.Embedding(0, 4))
