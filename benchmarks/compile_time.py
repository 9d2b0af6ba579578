"""How long compiling takes, by the number of layers, and how long a compiled plan takes to start.

Every model is captured and compiled in a process with an empty cache, and started again in another
one with what that has left there. *Rewriting* goes from the captured step to the plan, *machine
code* from the plan's file to a session; *start* is from the plan's file to the end of the first
step, after imports and with the cache filled. Wall seconds, or with ``--cpu-time`` those of all
threads, which other processes disturb least; medians of ``--rounds``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

COLUMNS = {
    "capture": "capture s",
    "rewriting": "rewriting s",
    "machine_code": "machine code s",
    "after_capture": "after capture s",
    "start": "start s",
    "calls": "kernel calls",
    "kernels": "kernels",
}


def main() -> int:
    """Measures, prints, and writes what was asked for."""
    parsed = _arguments()
    if parsed.alone:
        figures = (
            compiled(parsed, *parsed.layers, parsed.directory)
            if parsed.alone == "compile"
            else started(parsed, parsed.directory)
        )
        print(json.dumps(figures))
        return 0
    rows = [measure(parsed, layers) for layers in parsed.layers]
    show(parsed, rows)
    if parsed.json:
        options = {"size": parsed.size, "recipe": parsed.recipe, "rounds": parsed.rounds}
        parsed.json.write_text(json.dumps({**options, "rows": rows}, indent=1) + "\n")
    return 0


def measure(parsed: argparse.Namespace, layers: int) -> dict[str, Any]:
    """The medians of all figures of one model."""
    runs = []
    for _ in range(parsed.rounds):
        with tempfile.TemporaryDirectory() as directory:
            runs.append(_alone("compile", parsed, layers, directory))
            runs[-1] |= _alone("start", parsed, layers, directory)
    figures = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    figures["after_capture"] = figures["rewriting"] + figures["machine_code"]
    return {"layers": layers, **figures}


def compiled(parsed: argparse.Namespace, layers: int, directory: Path) -> dict[str, float]:
    """Captures and compiles a model; leaves its plan and a batch in `directory`."""
    import numpy as np
    from models import NORM, SIZES, deep, make_batch, make_model

    from ssft.compiler import Recipe
    from ssft.compiler.driver import Options, compile_captured
    from ssft.compiler.frontend import capture
    from ssft.runtime import Session

    clock = process_time if parsed.cpu_time else perf_counter
    size = deep(SIZES[parsed.size], layers)
    model, batch = make_model(size), make_batch(size)
    times = [clock()]
    captured = capture(model, batch, max_grad_norm=NORM)
    times.append(clock())
    plan = compile_captured(captured, Recipe(parsed.recipe, ratio=parsed.ratio), Options())
    plan.save(directory / "plan.mlir")
    times.append(clock())
    session: Any = Session(directory / "plan.mlir")
    times.append(clock())
    assert not session.from_cache
    np.savez(directory / "batch.npz", **{name: array.numpy() for name, array in batch.items()})
    names = ("capture", "rewriting", "machine_code")
    found = {name: b - a for name, a, b in zip(names, times, times[1:], strict=False)}
    schedule = session._executor.schedule
    return {**found, "calls": len(schedule.calls), "kernels": len(schedule.kernels)}


def started(parsed: argparse.Namespace, directory: Path) -> dict[str, float]:
    """Trains the plan in `directory` for one step, without PyTorch."""
    import numpy as np

    from ssft.runtime import Session

    batch = dict(np.load(directory / "batch.npz"))
    clock = process_time if parsed.cpu_time else perf_counter
    start = clock()
    session = Session(directory / "plan.mlir")
    session.step(batch)
    seconds = clock() - start
    assert session.from_cache
    return {"start": seconds}


def _alone(what: str, parsed: argparse.Namespace, layers: int, directory: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--alone", what, "--layers", str(layers)]
    command += ["--size", parsed.size, "--recipe", parsed.recipe, "--ratio", str(parsed.ratio)]
    command += ["--cpu-time"] if parsed.cpu_time else []
    environment = {**os.environ, "SSFT_CACHE_DIR": f"{directory}/cache"}
    done = subprocess.run(
        [*command, "--directory", directory], capture_output=True, text=True, env=environment
    )
    if done.returncode:
        raise SystemExit(f"{layers} layers failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def show(parsed: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    """Prints the table."""
    from rich.console import Console
    from rich.table import Table

    clock = "CPU" if parsed.cpu_time else "wall"
    title = (
        f"layers of size {parsed.size}, {parsed.recipe}, medians of {parsed.rounds}, {clock} time"
    )
    table = Table("layers", title=title, title_justify="left")
    for heading in COLUMNS.values():
        table.add_column(heading, justify="right")
    for row in rows:
        cells = (row[key] for key in COLUMNS)
        table.add_row(str(row["layers"]), *(f"{c:.2f}" if c % 1 else f"{c:.0f}" for c in cells))
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="S", help="T, S, M, GQA or MiniLM (default: S)")
    parser.add_argument("--layers", type=int, nargs="+", default=[2, 8, 32])
    parser.add_argument("--recipe", default="s2ft")
    parser.add_argument("--ratio", type=float, default=0.05)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpu-time", action="store_true", help="of all threads, for busy machines")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--alone", choices=["compile", "start"], help=argparse.SUPPRESS)
    parser.add_argument("--directory", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
