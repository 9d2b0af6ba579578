"""Compares methods at one budget: what they learn, and what they forget.

    python examples/minilm_quality/quality.py            about half an hour on one core
    python examples/minilm_quality/quality.py --quick    shows in a minute that everything runs

For each method the learning rate is chosen from a small grid by accuracy on a validation split
(seed 0 alone), and seeds 0, 1, … are then reported at that rate, whatever comes out. Each method
and seed is kept in DIRECTORY/runs.json as soon as it is done, and is not repeated.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import figure
import task
import torch
from contenders import CONTENDERS, rates
from rich.console import Console
from rich.progress import Progress, TaskID, TextColumn, TimeElapsedColumn
from torch import nn

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Settings:
    """What all runs of a directory have in common."""

    steps: int = 36
    layers: int | None = None
    share: float = 1.0
    """Of the texts that models are judged by."""


QUICK = Settings(steps=3, layers=1, share=0.125)


class Runs:
    """The records of finished runs, in a file that is complete at any time."""

    def __init__(self, directory: Path, settings: Settings) -> None:
        self._file = directory / "runs.json"
        self._content: dict[str, Any] = {"settings": asdict(settings), "runs": {}}
        if self._file.exists():
            found = json.loads(self._file.read_text())
            if found["settings"] != self._content["settings"]:
                raise SystemExit(f"{self._file} holds runs with other settings: name another -o")
            self._content = found
        directory.mkdir(parents=True, exist_ok=True)

    def __getitem__(self, key: str) -> dict[str, Any]:
        return self._content["runs"][key]

    def __contains__(self, key: str) -> bool:
        return key in self._content["runs"]

    def add(self, key: str, record: dict[str, Any]) -> None:
        self._content["runs"][key] = record
        temporary = self._file.with_suffix(".part")
        temporary.write_text(json.dumps(self._content, indent=1) + "\n")
        temporary.replace(self._file)


class Experiment:
    """The runs of all methods, with progress on the terminal."""

    def __init__(self, runs: Runs, settings: Settings, progress: Progress) -> None:
        self._runs, self._settings, self._progress = runs, settings, progress

    def method(self, name: str, seeds: int, grid: Sequence[float]) -> list[dict[str, Any]]:
        """Chooses the learning rate with seed 0, then runs the other seeds with it."""
        first = self._record(name, 0, grid)
        return [first, *(self._record(name, seed, [first["rate"]]) for seed in range(1, seeds))]

    def _record(self, name: str, seed: int, grid: Sequence[float]) -> dict[str, Any]:
        """The record of a method and seed; made now unless it is there."""
        key = f"{name}, seed {seed}"
        if key not in self._runs:
            total = self._settings.steps * len(grid)
            bar = self._progress.add_task(key, total=total, note="compiling")
            record = self._train(name, seed, grid, bar)
            self._runs.add(key, record)
            note = f"test {record['test']:.3f}, retrieval {record['retrieval']:.3f}"
            self._progress.update(bar, note=note)
            if not self._progress.console.is_terminal:
                self._progress.console.print(f"{key}: {note}, {record['seconds']} s")
        return self._runs[key]

    def _train(self, name: str, seed: int, grid: Sequence[float], bar: TaskID) -> dict[str, Any]:
        """Trains with each learning rate, and judges what validates best."""
        began = time.perf_counter()
        settings, judge = self._settings, _judge(self._settings)
        prepared = CONTENDERS[name].prepare(task.new_model(seed, settings.layers), seed)
        tried: list[dict[str, float]] = []
        best: tuple[tuple[float, float], nn.Module] | None = None
        for rate in grid:
            run, losses = prepared.start(), []
            batches = task.training_batches(seed)
            for batch, now in zip(batches, rates(settings.steps, rate), strict=False):
                losses.append(run.step(batch, now))
                self._progress.update(bar, advance=1, note=f"rate {rate:g}")
            tail = losses[-max(1, settings.steps // 10) :]
            loss, model = round(sum(tail) / len(tail), 6), run.finished().eval()
            validation = judge.accuracy(model, "validation")
            tried.append({"rate": rate, "validation": validation, "loss": loss})
            if best is None or (validation, -loss) > best[0]:
                best = (validation, -loss), model
        assert best is not None
        return {
            "method": name,
            "seed": seed,
            **max(tried, key=lambda one: (one["validation"], -one["loss"])),
            "trained": prepared.trained,
            **asdict(judge.scores(best[1])),
            "retrieval_before": judge.before(),
            "tried": tried,
            "seconds": round(time.perf_counter() - began, 1),
        }


@cache
def _judge(settings: Settings) -> task.Judge:
    return task.Judge(task.new_model(0, settings.layers).eval(), settings.share)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what is missing, then writes summary.json and quality.png."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, metavar="DIRECTORY")
    parser.add_argument(
        "--quick", action="store_true", help="one layer, few steps: figures of none"
    )
    parser.add_argument("--seeds", type=int, default=3, help="how many are reported (default 3)")
    parser.add_argument(
        "--methods", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), metavar="NAME"
    )
    parsed = parser.parse_args(arguments)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    directory = parsed.output or Path("build", "quality-quick" if parsed.quick else "quality")
    settings = QUICK if parsed.quick else Settings()
    columns = (TextColumn("{task.description:32}"), *Progress.get_default_columns()[1:3])
    with Progress(*columns, TimeElapsedColumn(), TextColumn("{task.fields[note]}")) as progress:
        experiment = Experiment(Runs(directory, settings), settings, progress)
        records = []
        for name in parsed.methods:
            grid = CONTENDERS[name].rates[:1] if parsed.quick else CONTENDERS[name].rates
            records += experiment.method(name, 1 if parsed.quick else parsed.seeds, grid)
    summary = figure.summarise(records, {name: c.label for name, c in CONTENDERS.items()})
    (directory / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    figure.draw(summary, directory / "quality.png")
    Console().print(figure.table(summary))
    print(f"{directory}/summary.json, {directory}/quality.png")


if __name__ == "__main__":
    main()
