"""SSFT-Alg on MiniLM: important gradients cluster in rows and columns, and its masks find them.

Six batches of the docstring task, and the model's published weights. What counts is the share of
the top 5 % of squared gradients that a mask of 5 % of the elements has.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from ssft.compiler.calibration import measure
from ssft.compiler.frontend import capture_file, load_model_file
from ssft.compiler.frontend.arrays import to_arrays
from ssft.compiler.pipelines.named import RECOGNISE
from ssft.compiler.pipelines.run import run_pipeline
from ssft.compiler.plan_schema import Mask
from ssft.compiler.recipes.choice import Choice
from ssft.compiler.recipes.methods.ssft import choose, pre_mask
from ssft.compiler.recipes.parameters import Dimension, Parameter
from ssft.compiler.recipes.statistics import Statistics

EXAMPLE = Path(__file__).parents[2] / "examples" / "minilm_docstrings"
RATIO = 0.05


@pytest.fixture(scope="module")
def statistics() -> Statistics:
    spec = importlib.util.spec_from_file_location("docstrings", EXAMPLE / "data.py")
    assert spec is not None and spec.loader is not None
    data = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(data)
    step = capture_file(load_model_file(EXAMPLE / "model.py"))
    run_pipeline(step.module, RECOGNISE)
    return measure(step.module, to_arrays(step.weights), data.batches("train", 0), 6)


def matrices(statistics: Statistics) -> list[str]:
    return [name for quantity, name in statistics.values if quantity == "input"]


def share(statistics: Statistics, name: str, mask: Mask) -> float:
    """Of the largest squared gradients of a matrix, the share that a union of rows has."""
    squares = statistics.get("fisher", name)
    chosen = np.zeros(squares.shape, bool)
    chosen[list(mask.rows or ())] = True
    chosen[:, list(mask.columns or ())] = True
    wanted = pre_mask(squares, RATIO)
    return float((chosen & wanted).sum() / wanted.sum())


def mask_of(statistics: Statistics, name: str) -> Mask:
    sides = tuple(
        Dimension(size, ((),), frozenset(["used"])) for size in statistics.get("fisher", name).shape
    )
    return choose([Parameter(name, sides)], Choice(RATIO, statistics=statistics))[name]


def best_side(statistics: Statistics, name: str, dim: int) -> Mask:
    """As many elements in the best rows alone (or columns)."""
    counts = pre_mask(statistics.get("fisher", name), RATIO).sum(axis=1 - dim)
    chosen = tuple(np.argsort(-counts)[: round(RATIO * len(counts))].tolist())
    return Mask(chosen, ()) if dim == 0 else Mask((), chosen)


def random_mask(like: Mask, shape: tuple[int, ...], generator: np.random.Generator) -> Mask:
    sides = (like.rows or (), like.columns or ())
    return Mask(
        *(tuple(generator.permutation(n)[: len(s)]) for n, s in zip(shape, sides, strict=True))
    )


@pytest.mark.slow
def test_masks_have_the_important_gradients(statistics):
    generator = np.random.default_rng(0)
    found = []
    for name in matrices(statistics):
        if "encoder" not in name:
            continue
        mask = mask_of(statistics, name)
        chance = random_mask(mask, statistics.get("fisher", name).shape, generator)
        found.append([
            share(statistics, name, m)
            for m in (mask, chance, best_side(statistics, name, 0), best_side(statistics, name, 1))
        ])  # fmt: skip
    assert len(found) == 36
    both, chance, rows, columns = np.mean(found, axis=0)
    print(
        f"rows and columns {both:.3f}, random {chance:.3f}, rows {rows:.3f}, columns {columns:.3f}"
    )
    assert both >= 0.35
    assert both >= 5 * chance
    assert both >= max(rows, columns) - 0.01
