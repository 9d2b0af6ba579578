"""What ``ssft-run`` shows while it trains and when it is done."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ssft.compiler.byte_sizes import readable
from ssft.compiler.plan_schema import StepSignature
from ssft.runtime.comparison import Difference
from ssft.runtime.training import StepRecord

if TYPE_CHECKING:
    from ssft.compiler.backends.cpu import MemoryUse
    from ssft.runtime.comparison import Comparison

_console = Console(highlight=False)


class TrainingDisplay:
    """A progress bar with loss, speed and memory; on a pipe, a line every tenth of the way."""

    def __init__(self, steps: int, *, enabled: bool) -> None:
        self._steps = steps
        self._enabled = enabled
        self._progress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=_console,
            disable=not (enabled and _console.is_terminal),
        )
        self._task = self._progress.add_task("", total=steps)

    def __enter__(self) -> TrainingDisplay:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show_part(self, done: int, total: int) -> None:
        """Shows how far a step is that takes long."""
        if done < total:
            self._progress.update(self._task, description=f"{done:,} of {total:,} commands")

    def show(self, record: StepRecord) -> None:
        """Shows one step."""
        text = (
            f"loss {record.loss:.4f}  {record.tokens / record.seconds:,.0f} tokens/s  "
            f"{record.peak_bytes / 2**20:,.0f} MiB"
        )
        self._progress.update(self._task, completed=record.step, description=text)
        every = max(1, self._steps // 10)
        if self._enabled and not _console.is_terminal and record.step % every == 0:
            _console.print(f"step {record.step:>5}/{self._steps}  {text}")


def print_start(memory: MemoryUse | None, mapped: int, from_cache: bool) -> None:
    """Prints where the compiled step came from, and all memory that it works on."""
    _console.print("compiled step: " + ("from the cache" if from_cache else "compiled now"))
    if memory is not None:
        _console.print(
            f"memory of a step: {readable(memory.total)}: arguments "
            f"{readable(memory.arguments)}, outputs {readable(memory.outputs)}, constants "
            f"{readable(memory.constants)}, arena {readable(memory.arena)} (temporaries in use "
            f"at once: {readable(memory.alive)})"
        )
    if mapped:
        _console.print(f"of the arguments, {readable(mapped)} stay in their file")


def warn_of_training_mode(signature: StepSignature) -> None:
    """Says what of a model in training mode is still there when it is evaluated, if anything."""
    found = ["random draws such as dropout"] if any(signature.with_role("seed")) else []
    if any(a.buffer and signature.update_of(a.index) for a in signature.arguments):
        found.append("norms by the batch's own statistics")
    if found:
        what = " and ".join(found)
        for line in (
            f"warning: the plan's model is in training mode, and evaluated in it, with {what}",
            "note: to do without, compile the model in eval mode, and run that plan with "
            "--weights FILE, which --save wrote",
        ):
            print(f"ssft-run: {line}", file=sys.stderr)


def print_summary(result: dict[str, Any]) -> None:
    """Prints what a run came to."""
    _console.print(
        f"{result['steps']} steps: loss {result['first_loss']:.4f} -> {result['last_loss']:.4f}, "
        f"{1e3 * result['seconds_per_step']:.1f} ms a step (median), "
        f"{result['tokens_per_second']:,.0f} tokens/s, "
        f"peak memory {result['peak_bytes'] / 2**20:,.0f} MiB"
    )


def print_verdict(comparison: Comparison, tolerance: float, equal: bool) -> None:
    """Prints whether the plan trained what masked dense PyTorch trained."""
    worst = comparison.largest()
    size = "nothing" if worst is None else f"{worst.relative:.1e}"
    verdict = "equal to masked dense PyTorch" if equal else "[bold red]DIFFERS[/] from PyTorch"
    within = f"loss and optimizer states within {size} (tolerance {tolerance:g})"
    _console.print(f"{verdict}: {within}", soft_wrap=True)
    for hint in comparison.hints(equal):
        _console.print(f"note: {hint}", soft_wrap=True)


def print_comparison(differences: list[Difference], changed: list[str], rows: int = 12) -> None:
    """Prints the largest differences from masked dense PyTorch."""
    table = Table(
        title="largest difference from masked dense PyTorch, over the largest magnitude",
        title_justify="left",
    )
    for column in ("tensor", "what", "relative"):
        table.add_column(column, justify="right" if column == "relative" else "left")
    compared = [d for d in differences if not d.excluded]
    for difference in compared[:rows]:
        table.add_row(difference.tensor, difference.what, f"{difference.relative:.2e}")
    _console.print(table)
    rest = len(compared) - rows
    if rest > 0:
        _console.print(f"{rest} more tensors differ less")
    excluded = sorted({d.tensor for d in differences if d.excluded})
    if excluded:
        _console.print(
            f"not compared, since their gradient is zero but for rounding: {', '.join(excluded)}"
        )
    if changed:
        _console.print(f"[bold red]frozen tensors changed:[/] {', '.join(changed)}")
    else:
        _console.print("every frozen parameter has kept its bytes")
