"""What a session keeps in memory, and what it leaves in the plan's file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ssft.compiler import Recipe, compile
from ssft.compiler.diagnostics import UserError
from ssft.runtime import Session
from ssft.runtime.memory_budget import parse_bytes, stays_in_file

FEATURES, ROWS = 64, 8


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> Path:
    """A plan that trains few rows of one matrix, and updates the statistics of a norm."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(FEATURES, FEATURES), nn.BatchNorm1d(FEATURES), nn.Linear(FEATURES, 4)
    )
    path = tmp_path_factory.mktemp("budget") / "plan.mlir"
    recipe = Recipe("explicit", masks=("0.weight:rows=3+5+8",))
    compile(
        model,
        {"input": torch.zeros(ROWS, FEATURES), "y": torch.zeros(ROWS, dtype=torch.long)},
        loss=lambda outputs, batch: nn.functional.cross_entropy(outputs, batch["y"]),
        recipe=recipe,
    ).save(path)
    return path


def batch() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(1)
    x = generator.standard_normal((ROWS, FEATURES), np.float32)
    return {"input": x, "y": generator.integers(0, 4, ROWS)}


def least(session: Session) -> int:
    """The bytes of a step whose unchanging weights all stay in the file."""
    written = {result.updates_arg for result in session.signature.results}
    return session.memory.total - sum(
        argument.bytes
        for argument in session.signature.arguments
        if argument.role == "frozen" and argument.index not in written
    )


def test_what_never_changes_stays_in_the_file(plan: Path) -> None:
    copied = Session(plan)
    mapped = Session(plan, memory_budget=least(copied))
    assert copied.mapped == frozenset()
    assert mapped.mapped == {"0.bias", "1.weight", "1.bias", "2.weight", "2.bias"}
    assert mapped.mapped_bytes == 4 * (3 * FEATURES + 4 * FEATURES + 4)
    before = plan.with_suffix(".safetensors").read_bytes()
    losses = [[session.step(batch()) for _ in range(3)] for session in (copied, mapped)]
    assert losses[0] == losses[1]
    assert len(set(losses[0])) == 3
    states = [session.state_dict() for session in (copied, mapped)]
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])
    assert plan.with_suffix(".safetensors").read_bytes() == before


def test_statistics_that_the_step_writes_are_copied(plan: Path) -> None:
    session = Session(plan)
    assert {"1.running_mean", "1.running_var"}.isdisjoint(stays_in_file(session.signature))
    assert {"1.running_mean"} <= {argument.name for argument in session.signature.arguments}


def test_a_budget_for_everything_maps_nothing(plan: Path) -> None:
    total = Session(plan).memory.total
    assert Session(plan, memory_budget=total).mapped == frozenset()
    assert Session(plan, memory_budget=total - 1).mapped != frozenset()


def test_less_than_the_rest_is_refused_with_what_takes_it(plan: Path) -> None:
    budget = least(Session(plan)) - 1
    with pytest.raises(UserError, match="more than the budget") as raised:
        Session(plan, memory_budget=budget)
    assert any("temporaries are" in note for note in raised.value.notes)


def test_other_devices_do_not_account_for_their_memory(plan: Path) -> None:
    with pytest.raises(UserError, match="does not account"):
        Session(plan, "numpy", memory_budget=10**9)


@pytest.mark.parametrize(
    ("text", "size"), [("24GB", 24 * 10**9), ("1.5GiB", 3 * 2**29), ("800", 800), ("2 kB", 2000)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "many", "5X", "-1GB", "0", "1e999", "1e400GB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UserError, match="no size of memory"):
        parse_bytes(text)
