"""Each example keeps the contract of a model file and trains under PyTorch alone."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

EXAMPLES = Path(__file__).parents[2] / "examples"
MODEL_FILES = sorted(EXAMPLES.glob("*.py")) + sorted(EXAMPLES.glob("*/model.py"))
LONGEST = 120
"""Lines; an example is read in one go."""


def name_of(path: Path) -> str:
    return path.relative_to(EXAMPLES).with_suffix("").as_posix()


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name_of(path).replace("/", "_"), path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def imported_roots(source: str) -> set[str]:
    roots = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            roots |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            roots.add(node.module.partition(".")[0])
    return roots


def loss_of(example: ModuleType, model: torch.nn.Module, batch) -> torch.Tensor:
    outputs = model(**batch)
    if hasattr(example, "loss"):
        return example.loss(outputs, batch)
    return outputs if isinstance(outputs, torch.Tensor) else outputs.loss


def losses(example: ModuleType, steps: int) -> list[float]:
    """The losses of training on the example batch, over and over."""
    model, batch = example.model(), example.batch()
    optimizer = example.optimizer(model.parameters())
    history = []
    for _ in range(steps):
        loss = loss_of(example, model, batch)
        assert loss.shape == ()
        optimizer.zero_grad()
        loss.backward()
        if hasattr(example, "max_grad_norm"):
            torch.nn.utils.clip_grad_norm_(model.parameters(), example.max_grad_norm)
        optimizer.step()
        history.append(loss.item())
    return history


@pytest.mark.parametrize("path", MODEL_FILES, ids=name_of)
def test_model_file_trains_and_repeats(path: Path):
    example = load(path)
    first = losses(example, 2)
    assert first[-1] < first[0]
    with torch.no_grad():
        again = loss_of(example, example.model(), example.batch()).item()
    assert again == pytest.approx(first[0], rel=1e-6), "model() or batch() varies"


def beside_model_files() -> list[Path]:
    """Model files and what lies beside them; directories without one hold programs of ours."""
    directories = {path.parent for path in MODEL_FILES}
    return sorted(path for path in EXAMPLES.rglob("*.py") if path.parent in directories)


@pytest.mark.parametrize("path", beside_model_files(), ids=name_of)
def test_example_is_plain_and_short(path: Path):
    source = path.read_text()
    assert "ssft" not in imported_roots(source)
    assert len(source.splitlines()) <= LONGEST


def test_imports_of_ours_would_be_seen():
    assert "ssft" in imported_roots("def f():\n    from ssft.compiler import compile\n")


def test_every_example_is_in_the_readme():
    readme = (EXAMPLES / "README.md").read_text()
    shown = [path.name if path.parent == EXAMPLES else path.parent.name for path in MODEL_FILES]
    assert [name for name in shown if name not in readme] == []
