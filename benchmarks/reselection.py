"""What it costs to choose again, while training, which rows and columns train.

Trains one plan for ``--steps`` steps, choosing again every ``--every`` steps, and reports how often
something was compiled, the seconds spent on choosing, and their share of all. Each recipe stands
beside the same one that never chooses again; where that one's slices are made contiguous by
co-permutation, the difference between the steps is what gathering costs. ``--measure N`` chooses by
gradients of N batches instead of at random: then a choice costs about N dense forward and backward
passes. Seconds are CPU seconds of the process, which other processes disturb least; ``--wall``
takes those of the clock.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from itertools import repeat
from pathlib import Path
from typing import Any

from models import NORM, SIZES, Size, make_batch, make_model

from ssft.compiler import Recipe, compile
from ssft.compiler.backends.cpu import compile as cpu_compile
from ssft.runtime import Session


def measure(size: Size, recipe: Recipe, steps: int, clock: Callable[[], float]) -> dict[str, Any]:
    """Trains a model of `size` under `recipe` after two steps of warm-up."""
    batch = make_batch(size)
    plan = compile(make_model(size), batch, recipe=recipe, max_grad_norm=NORM)
    compilations = _count_compilations()
    session = Session.from_text(
        plan.text(), plan.stored_weights(), cache=False, measuring=plan.measuring
    )
    for _ in range(2):
        session.step(batch)
    if session.selection is not None and session.selection.measure:
        session.reselect(repeat(batch))  # compiles the measuring step, once
    before, choices = len(compilations), session.choices
    choosing, stepping = 0.0, []
    for _ in range(steps):
        start = clock()
        if session.reselection_is_due:
            session.reselect(repeat(batch))
        chosen = clock()
        session.step(batch)
        choosing += chosen - start
        stepping.append(clock() - chosen)
    total = choosing + sum(stepping)
    return {
        "recipe": recipe.method,
        "every": recipe.reselect,
        "choices": session.choices - choices,
        "compilations_before": before,
        "compilations_during": len(compilations) - before,
        "seconds": total,
        "seconds_choosing": choosing,
        "share": choosing / total,
        "milliseconds_per_step": 1e3 * statistics.median(stepping),
    }


def _count_compilations() -> list[None]:
    """A list that grows by one element with each step that is compiled from now on."""
    found: list[None] = []
    original = getattr(cpu_compile._compile, "original", cpu_compile._compile)

    def compile_and_count(*arguments: Any) -> Any:
        found.append(None)
        return original(*arguments)

    compile_and_count.original = original  # type: ignore[attr-defined]
    cpu_compile._compile = compile_and_count
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="S")
    parser.add_argument("--recipe", nargs="+", default=["s2ft", "paca", "union"])
    parser.add_argument("--ratio", type=float, default=0.05)
    parser.add_argument("--every", type=int, default=20)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--measure", type=int, default=0, metavar="N")
    parser.add_argument("--wall", action="store_true")
    parser.add_argument("--json", type=Path)
    parsed = parser.parse_args()
    clock = time.perf_counter if parsed.wall else time.process_time
    print(f"size {parsed.size}, ratio {parsed.ratio}, {parsed.steps} steps")
    print(f"{'recipe':>8} {'every':>6} {'choices':>8} {'compiled':>9} {'ms/step':>8} "
          f"{'total s':>8} {'choosing s':>11} {'share':>7}")  # fmt: skip
    rows = []
    for method in parsed.recipe:
        for every in (0, parsed.every):
            chosen: dict[str, Any] = {"calibrate": parsed.measure, "importance": "gradient"}
            options = chosen if parsed.measure and every else {}
            recipe = Recipe(method, ratio=parsed.ratio, reselect=every, **options)
            rows.append(measure(SIZES[parsed.size], recipe, parsed.steps, clock))
            row = rows[-1]
            print(f"{row['recipe']:>8} {row['every'] or 'never':>6} {row['choices']:8} "
                  f"{row['compilations_during']:9} {row['milliseconds_per_step']:8.2f} "
                  f"{row['seconds']:8.2f} {row['seconds_choosing']:11.4f} "
                  f"{row['share']:7.2%}", flush=True)  # fmt: skip
    if parsed.json:
        parsed.json.write_text(json.dumps({"size": parsed.size, "rows": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
