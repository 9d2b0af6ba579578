"""The training loop: batches in, losses out, with measurements and a comparison on request."""

from __future__ import annotations

import resource
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from time import perf_counter
from typing import Any

from ssft.compiler.batches import Batch
from ssft.compiler.diagnostics import UserError
from ssft.runtime.comparison import Comparison
from ssft.runtime.session import Session


@dataclass(frozen=True)
class StepRecord:
    """One step: its number (from 1), the loss before the update, and what it took.

    `seconds` is the wall time of the step alone, `choosing` that of choosing again what trains
    before it; `peak_bytes` the most memory that the process has had resident so far.
    """

    step: int
    loss: float
    seconds: float
    tokens: int
    peak_bytes: int
    choosing: float = 0.0


def tokens_per_batch(session: Session) -> int:
    """Returns how many tokens (or samples) a batch has: the elements of its largest integer input.

    A model without integer inputs is counted by samples, the first dimension of its inputs.
    """
    inputs = session.signature.inputs
    integers = [a.elements for a in inputs if a.dtype.startswith("i")]
    return max(integers or [a.shape[0] if a.shape else 1 for a in inputs] or [1])


def train(
    session: Session,
    batches: Iterator[Batch],
    steps: int,
    *,
    comparison: Comparison | None = None,
    observe: Callable[[StepRecord], None] = lambda record: None,
) -> list[StepRecord]:
    """Trains for `steps` steps; `observe` sees each as it ends.

    If the plan re-selects, what trains is chosen again when it says so; a recipe that measures the
    model does so on the coming batch and those right before it.

    Raises:
        UserError: the batches run out, do not fit, or the loss is not finite.
    """
    tokens = tokens_per_batch(session)
    records = []
    recent: deque[Batch] = deque(maxlen=session.selection.measure if session.selection else 0)
    for number in range(1, steps + 1):
        batch = next(batches, None)
        if batch is None:
            notes = [f"use --steps {number - 1}"] if number > 1 else []
            raise UserError(f"the data ended before step {number}", notes=notes)
        recent.appendleft(batch)
        choosing = 0.0
        if session.reselection_is_due:
            start = perf_counter()
            session.reselect(cycle(recent))
            choosing = perf_counter() - start
            if comparison is not None:
                comparison.follow()
        start = perf_counter()
        loss = session.step(batch)
        seconds = perf_counter() - start
        if comparison is not None:
            comparison.step(batch, loss)
        records.append(StepRecord(number, loss, seconds, tokens, peak_bytes(), choosing))
        observe(records[-1])
    return records


def peak_bytes() -> int:
    """Returns the most memory that this process has had resident, in bytes."""
    # Linux reports KiB (getrusage(2)).
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def summary(records: list[StepRecord]) -> dict[str, Any]:
    """Returns first and last loss, median step time and tokens per second of a run."""
    times = sorted(record.seconds for record in records)
    median = times[len(times) // 2]
    return {
        "steps": len(records),
        "first_loss": records[0].loss,
        "last_loss": records[-1].loss,
        "seconds_per_step": median,
        "tokens_per_second": records[0].tokens / median,
        "peak_bytes": records[-1].peak_bytes,
        "seconds_choosing": sum(record.choosing for record in records),
    }
