"""A model of a billion parameters trained within a memory budget, and by PyTorch without one.

Compiles `llama_1b.py` (bfloat16, S2FT 5 %), trains some steps of the plan in a process of
its own, with everything in memory and with the frozen weights left in their file, and some steps of
dense AdamW of the same file in PyTorch eager. Prints each process's peak memory over its imports
beside what the plan predicts. Memory is Linux's, sampled: private pages (RssAnon), and all resident
pages (with RssFile), of which mapped weights are a part that the system may drop.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table

EXAMPLE = Path(__file__).parent / "llama_1b.py"
SAMPLE = 0.02  # seconds


def resident() -> dict[str, int]:
    """This process's resident memory in bytes, by kind."""
    fields = {}
    for line in Path("/proc/self/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key in ("RssAnon", "RssFile"):
            fields[key] = int(value.split()[0]) * 1024
    return {"private": fields["RssAnon"], "resident": sum(fields.values())}


class Sampler(threading.Thread):
    """Keeps the most memory seen, by kind."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.before = resident()
        self.most = dict(self.before)
        self._over = threading.Event()
        self.start()

    def run(self) -> None:
        """Samples until stopped."""
        while not self._over.wait(SAMPLE):
            self.most = {key: max(self.most[key], size) for key, size in resident().items()}

    def result(self) -> dict[str, int]:
        """Peaks over what there was at the start, in bytes."""
        self._over.set()
        return {key: size - self.before[key] for key, size in self.most.items()}


def train_plan(plan: str, steps: int, budget: int | None) -> dict[str, Any]:
    """Trains a plan; the first step, which touches everything first, is no part of the time."""
    import numpy as np

    from ssft.runtime import Session

    arrays = np.load(Path(plan).with_suffix(".npz"))
    batch = {name: arrays[name] for name in arrays.files}
    # What the compiler loads is no part of a step: the second session finds the step compiled.
    Session(plan)
    sampler = Sampler()
    session = Session(plan, memory_budget=budget)
    losses, seconds = [], []
    for _ in range(steps):
        start = perf_counter()
        losses.append(session.step(batch))
        seconds.append(perf_counter() - start)
    assert session.memory is not None
    return {
        **sampler.result(),
        "losses": losses,
        "seconds": sorted(seconds[1:])[len(seconds[1:]) // 2],
        "predicted": session.memory.total,
        "mapped": session.mapped_bytes,
    }


def train_eager(steps: int) -> dict[str, Any]:
    """Trains the example's model with PyTorch: all parameters, AdamW's fused update."""
    import importlib.util

    import torch

    spec = importlib.util.spec_from_file_location("example", EXAMPLE)
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    torch.zeros(1).sum()
    sampler = Sampler()
    model, batch = example.model(), example.batch()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-4, weight_decay=0.0, fused=True)
    losses, seconds = [], []
    for _ in range(steps):
        start = perf_counter()
        loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        seconds.append(perf_counter() - start)
    middle = sorted(seconds[1:])[len(seconds[1:]) // 2]
    return {**sampler.result(), "losses": losses, "seconds": middle}


def child(*arguments: str) -> dict[str, Any]:
    """Runs one of this file's parts in a fresh process."""
    command = [sys.executable, __file__, "--part", *arguments]
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def compile_plan(directory: Path) -> str:
    """Compiles the example, and keeps its batch beside the plan."""
    plan = str(directory / "plan.mlir")
    tool = "ssft.compiler.tools.ssftc"
    command = [sys.executable, "-m", tool, str(EXAMPLE), "--recipe", "s2ft", "-o", plan]
    subprocess.run(command, check=True)
    script = (
        "import runpy, numpy; b = runpy.run_path(r'{0}')['batch']();"
        "numpy.savez(r'{1}', **{{k: v.numpy() for k, v in b.items()}})"
    )
    target = str(directory / "plan.npz")
    subprocess.run([sys.executable, "-c", script.format(EXAMPLE, target)], check=True)
    return plan


def main() -> None:
    """Runs everything, or one part in this process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--directory", help="where the plan is, or goes (default: temporary)")
    parser.add_argument("--no-eager", dest="eager", action="store_false")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--part", nargs="+", help=argparse.SUPPRESS)
    parsed = parser.parse_args()
    if parsed.part:
        part, steps, *rest = parsed.part
        if part == "eager":
            found = train_eager(int(steps))
        else:
            found = train_plan(rest[0], int(steps), int(rest[1]) if len(rest) > 1 else None)
        print(json.dumps(found))
        return
    steps = str(parsed.steps)
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(parsed.directory or temporary)
        plan = directory / "plan.mlir"
        path = str(plan) if plan.exists() else compile_plan(directory)
        whole = child("plan", steps, path)
        # One byte less than everything needs: the frozen weights stay in their file.
        mapped = child("plan", steps, path, str(whole["predicted"] - 1))
    results = {"plan": whole, "plan, frozen weights in their file": mapped}
    if parsed.eager:
        results["PyTorch eager, dense AdamW"] = child("eager", steps)
    if parsed.json:
        Path(parsed.json).write_text(json.dumps(results, indent=2) + "\n")
    Console().print(table(results))


def table(results: dict[str, dict[str, Any]]) -> Table:
    """The figures, a row for each way to train."""
    found = Table(title="peak memory over imports, MiB")
    for column in ("", "predicted", "private", "/ predicted", "resident", "s / step", "losses"):
        found.add_column(column, justify="left" if column in ("", "losses") else "right")
    for name, result in results.items():
        predicted = result.get("predicted", 0) - result.get("mapped", 0)
        found.add_row(
            name,
            f"{predicted / 2**20:,.0f}" if predicted else "",
            f"{result['private'] / 2**20:,.0f}",
            f"{result['private'] / predicted:.3f}" if predicted else "",
            f"{result['resident'] / 2**20:,.0f}",
            f"{result['seconds']:.2f}",
            " ".join(f"{loss:.3f}" for loss in result["losses"]),
        )
    return found


if __name__ == "__main__":
    main()
