"""Chains of random nests, fused row by row, against NumPy.

Each chain works on arrays of rows and mixes what decides whether nests can be fused: element-wise
operations, sums and maxima of rows, sums over rows, transposes, shifts along rows, halves of rows
that are put together the other way round, and the same rows counted in one loop or in two.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from programs import argument, metric, run, step

BATCH, LENGTH, WIDTH = 4, 24, 48
ROWS = BATCH * LENGTH
FLAT, DEEP = f"tensor<{ROWS}x{WIDTH}xf64>", f"tensor<{BATCH}x{LENGTH}x{WIDTH}xf64>"
SUMS, COLUMNS = f"tensor<{ROWS}xf64>", f"tensor<{WIDTH}xf64>"
HALF = WIDTH // 2


class Chain:
    """The text of a step and, in parallel, what it computes."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lines: list[str] = []
        self.values: list[tuple[str, np.ndarray]] = []

    def name(self) -> str:
        self.lines.append("")
        return f"%v{len(self.lines)}"

    def pick(self) -> tuple[str, np.ndarray]:
        return self.random.choice(self.values[-4:])

    def generic(
        self,
        inputs: list[tuple[str, str, str]],
        out: tuple[str, str],
        kinds: str,
        body: str,
        init: float = 0.0,
    ) -> str:
        """`inputs` are (value, type, map); body computes %r from %a, %b, … and %o."""
        name = self.name()
        maps = ", ".join(f"affine_map<{m}>" for m in [*(i[2] for i in inputs), out[1]])
        iterators = ", ".join(f'"{ {"p": "parallel", "r": "reduction"}[k] }"' for k in kinds)
        arguments = ", ".join(f"%{letter}: f64" for letter in "abcd"[: len(inputs)])
        values, types = ", ".join(i[0] for i in inputs), ", ".join(i[1] for i in inputs)
        self.lines += [
            f"{name}c = arith.constant {init:e} : f64",
            f"{name}e = tensor.empty() : {out[0]}",
            f"{name}f = linalg.fill ins({name}c : f64) outs({name}e : {out[0]}) -> {out[0]}",
            f"{name} = linalg.generic {{indexing_maps = [{maps}], iterator_types = [{iterators}]}} "
            f"ins({values} : {types}) outs({name}f : {out[0]}) {{",
            f"^bb0({arguments}, %o: f64):",
            body,
            f"linalg.yield %r : f64 }} -> {out[0]}",
        ]
        return name

    def element_wise(self) -> None:
        (x, a), (y, b) = self.pick(), self.pick()
        same = "(i, j) -> (i, j)"
        body = "%t = arith.mulf %a, %b : f64\n%s = math.tanh %t : f64\n%r = arith.addf %s, %a : f64"
        self.values.append(
            (
                self.generic([(x, FLAT, same), (y, FLAT, same)], (FLAT, same), "pp", body),
                np.tanh(a * b) + a,
            )
        )

    def normalised(self) -> None:
        x, a = self.pick()
        same, row = "(i, j) -> (i, j)", "(i, j) -> (i)"
        maximum = self.generic(
            [(x, FLAT, same)], (SUMS, row), "pr", "%r = arith.maximumf %a, %o : f64", -1e30
        )
        body = "%t = arith.subf %a, %b : f64\n%r = math.exp %t : f64"
        power = self.generic([(x, FLAT, same), (maximum, SUMS, row)], (FLAT, same), "pp", body)
        total = self.generic(
            [(power, FLAT, same)], (SUMS, row), "pr", "%r = arith.addf %a, %o : f64"
        )
        body = "%r = arith.divf %a, %b : f64"
        result = self.generic([(power, FLAT, same), (total, SUMS, row)], (FLAT, same), "pp", body)
        shifted = np.exp(a - a.max(1, keepdims=True))
        self.values.append((result, shifted / shifted.sum(1, keepdims=True)))

    def centred_columns(self) -> None:
        x, a = self.pick()
        same, column = "(i, j) -> (i, j)", "(i, j) -> (j)"
        total = self.generic(
            [(x, FLAT, same)], (COLUMNS, column), "rp", "%r = arith.addf %a, %o : f64"
        )
        body = "%r = arith.subf %a, %b : f64"
        result = self.generic([(x, FLAT, same), (total, COLUMNS, column)], (FLAT, same), "pp", body)
        self.values.append((result, a - a.sum(0)))

    def counted_in_two(self) -> None:
        x, a = self.pick()
        deep, flat = self.name(), self.name()
        same, step_ = "(b, i, j) -> (b, i, j)", "(b, i, j) -> (b)"
        self.lines.append(
            f"{deep} = tensor.expand_shape {x} [[0, 1], [2]] "
            f"output_shape [{BATCH}, {LENGTH}, {WIDTH}] : {FLAT} into {DEEP}"
        )
        per_batch = f"tensor<{BATCH}xf64>"
        total = self.generic(
            [(deep, DEEP, same)],
            (per_batch, step_),
            "prr",
            "%r = arith.maximumf %a, %o : f64",
            -1e30,
        )
        body = "%r = arith.subf %a, %b : f64"
        wide = self.generic(
            [(deep, DEEP, same), (total, per_batch, step_)], (DEEP, same), "ppp", body
        )
        self.lines.append(
            f"{flat} = tensor.collapse_shape {wide} [[0, 1], [2]] : {DEEP} into {FLAT}"
        )
        b = a.reshape(BATCH, LENGTH, WIDTH)
        self.values.append((flat, (b - b.max((1, 2), keepdims=True)).reshape(ROWS, WIDTH)))

    def rotated_halves(self) -> None:
        x, a = self.pick()
        name = self.name()
        half = f"tensor<{ROWS}x{HALF}xf64>"
        for part, start in (("l", 0), ("h", HALF)):
            self.lines.append(
                f"{name}{part} = tensor.extract_slice {x}[0, {start}] [{ROWS}, {HALF}] [1, 1] "
                f": {FLAT} to {half}"
            )
        same = "(i, j) -> (i, j)"
        minus = self.generic(
            [(f"{name}h", half, same)], (half, same), "pp", "%r = arith.negf %a : f64"
        )
        self.lines.append(
            f"{name} = tensor.concat dim(1) {minus}, {name}l : ({half}, {half}) -> {FLAT}"
        )
        self.values.append((name, np.concatenate([-a[:, HALF:], a[:, :HALF]], 1)))

    def other_rows(self) -> None:
        """Row i reads row i + 1 of the batch: no row may run before the next one is written."""
        (x, a), (y, b) = self.pick(), self.pick()
        name = self.name()
        part = f"tensor<{ROWS - 1}x{WIDTH}xf64>"
        self.lines += [
            f"{name}s = tensor.extract_slice {x}[1, 0] [{ROWS - 1}, {WIDTH}] [1, 1] "
            f": {FLAT} to {part}",
            f"{name} = tensor.insert_slice {name}s into {y}[0, 0] [{ROWS - 1}, {WIDTH}] [1, 1] "
            f": {part} into {FLAT}",
        ]
        wanted = b.copy()
        wanted[:-1] = a[1:]
        self.values.append((name, wanted))


KINDS = [
    Chain.element_wise,
    Chain.normalised,
    Chain.centred_columns,
    Chain.counted_in_two,
    Chain.rotated_halves,
    Chain.other_rows,
]


def worst_error(seed: int) -> float:
    """The largest difference between a random step and NumPy, relative to what NumPy finds."""
    chain = Chain(seed)
    x = np.random.default_rng(seed).normal(size=(ROWS, WIDTH))
    chain.values = [("%x", x)]
    for _ in range(8):
        chain.random.choice(KINDS)(chain)
    (first, a), (last, b) = chain.values[-2:]
    body = "\n".join([*chain.lines, f"return {first}, {last} : {FLAT}, {FLAT}"])
    plan = step([argument("x", FLAT)], [metric(FLAT), metric(FLAT)], body)
    _, found = run(plan, [x])
    return max(
        float(np.abs(got - want).max() / np.abs(want).max())
        for got, want in zip(found, (a, b), strict=True)
    )


@pytest.mark.parametrize("seed", range(12))
def test_random_chain(isolated: Callable[..., Any], seed: int) -> None:
    assert isolated("worst_error", seed) < 1e-12
