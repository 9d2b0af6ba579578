"""Stretches that repeat, one repetition right after the other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable
from dataclasses import dataclass
from itertools import pairwise

from ssft.compiler.repeats.sequence import Sequence


@dataclass(frozen=True, order=True)
class Run:
    """`count` repetitions of `period` items each, from position `start` on."""

    start: int
    period: int
    count: int

    @property
    def stop(self) -> int:
        """The position after the last repetition."""
        return self.start + self.period * self.count

    def place(self, position: int) -> tuple[int, int] | None:
        """Returns (repetition, offset in it) of a position, or None if it lies outside."""
        if not self.start <= position < self.stop:
            return None
        return divmod(position - self.start, self.period)


def candidate_periods(sequence: Sequence, least: int) -> list[int]:
    """Returns distances at which items recur at least `least` times, most frequent first.

    An operation that a repeated stretch holds once recurs at exactly its period.
    """
    places: dict[int, list[int]] = defaultdict(list)
    for position, key in enumerate(sequence.keys):
        places[key].append(position)
    votes: Counter[int] = Counter()
    for positions in places.values():
        if len(positions) >= least:
            votes.update(b - a for a, b in pairwise(positions))
    return [period for period, count in votes.most_common() if count >= least - 1]


def find_runs(sequence: Sequence, periods: Iterable[int], counts: Container[int]) -> list[Run]:
    """Finds disjoint runs of as many repetitions as `counts` allows, preferring large ones.

    Within a run the keys recur, and what an item reads moves evenly from repetition to repetition:
    by one period, backwards through another run, or not at all. Only the first or the last
    repetition of an operand may differ, which is where values enter and leave.
    """
    found: list[Run] = []
    for period in sorted(set(periods)):
        for start, length in recurring(sequence.keys, period):
            run = _even_part(sequence, start, length + period, period)
            if run is not None and run.count in counts:
                found.append(run)
    found.sort(key=lambda run: (-run.period * run.count, run.period))
    chosen: list[Run] = []
    for run in found:
        if all(run.stop <= other.start or other.stop <= run.start for other in chosen):
            chosen.append(run)
    return sorted(chosen)


def recurring(keys: tuple[int, ...], period: int) -> list[tuple[int, int]]:
    """Returns (start, length) of stretches whose items recur `period` items later."""
    stretches = []
    start = None
    for i in range(len(keys) - period + 1):
        same = i + period < len(keys) and keys[i] == keys[i + period]
        if same and start is None:
            start = i
        elif not same and start is not None:
            if i - start >= period:
                stretches.append((start, i - start))
            start = None
    return stretches


def _even_part(sequence: Sequence, start: int, length: int, period: int) -> Run | None:
    """Returns the longest run in a stretch of recurring keys in which operands move evenly."""
    end = start + length
    best: Run | None = None
    first = start
    while first + 2 * period <= end:
        count = (end - first) // period
        bad = _first_uneven(sequence, first, count, period)
        run = Run(first, period, count if bad is None else 0)
        if bad is None and (best is None or run.count > best.count):
            best = run
        if best is not None and (end - first) // period <= best.count:
            break
        first = first + 1 if bad is None else bad
    return best


def _first_uneven(sequence: Sequence, start: int, count: int, period: int) -> int | None:
    """Returns a later start past an item whose operands do not move evenly, or None."""
    for offset in range(period):
        rows = [sequence.operands[start + k * period + offset] for k in range(count)]
        for slot in zip(*rows, strict=True):
            steps = [b - a for a, b in pairwise(slot)]
            if len(set(steps)) > 1 and len(set(steps[1:])) > 1 and len(set(steps[:-1])) > 1:
                return start + offset + 1
    return None
