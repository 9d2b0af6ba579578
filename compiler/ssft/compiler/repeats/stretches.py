"""Stretches of code that occur several times, anywhere, and read whatever they like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from collections.abc import Sequence as Values
from dataclasses import dataclass

from ssft.compiler.repeats.runs import candidate_periods, recurring
from ssft.compiler.repeats.sequence import Sequence

Pattern = tuple[tuple[int, ...], ...]

_CALL, _VALUE = 80, 40
"""What a call takes of a text, and each value that it passes or returns, in characters."""


@dataclass(frozen=True)
class Stretch:
    """The `period` items from each of `starts` on: the same code, reading other values."""

    period: int
    starts: tuple[int, ...]


@dataclass(frozen=True)
class Interface:
    """What one occurrence of a stretch reads from outside, and what is read of it outside.

    Both are positions; inputs are in the order of their first use.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def find_stretches(
    sequence: Sequence, sizes: Values[int], barred: Collection[int], least: int
) -> list[Stretch]:
    """Finds disjoint stretches that occur at least `least` times, those first that save most.

    An item takes ``sizes[i]`` characters, which a function that is called saves; items in `barred`
    are in no stretch. A stretch must make what it covers half as long, and the whole text 1 %.
    """
    return _Search(sequence, sizes, barred, least).found()


class _Search:
    def __init__(
        self, sequence: Sequence, sizes: Values[int], barred: Collection[int], least: int
    ) -> None:
        self.sequence, self.sizes, self.least = sequence, sizes, least
        self.keys = list(sequence.keys)
        self.worth = sum(sizes) // 100
        self.users: list[list[int]] = [[] for _ in self.keys]
        for position, operands in enumerate(sequence.operands):
            for operand in set(operands):
                self.users[operand].append(position)
        self._take(barred)

    def _take(self, positions: Collection[int]) -> None:
        """Makes items unlike all others."""
        for position in positions:
            self.keys[position] = -1 - position

    def found(self) -> list[Stretch]:
        """Returns the stretches that pay."""
        stretches: list[Stretch] = []
        while True:
            best = max(self._candidates(), key=self.saving, default=None)
            if best is None or self.saving(best) <= 0:
                return stretches
            best = self._with_stragglers(best)
            stretches.append(best)
            self._take([i + k for i in best.starts for k in range(best.period)])

    def _candidates(self) -> Iterator[Stretch]:
        left = Sequence(tuple(self.keys), self.sequence.operands)
        for period in candidate_periods(left, self.least):
            for start, length in recurring(left.keys, period):
                stretch = self._best_phase(start, length + period, period)
                if len(stretch.starts) >= self.least:
                    yield stretch

    def _best_phase(self, start: int, length: int, period: int) -> Stretch:
        """Returns the cut of recurring code whose parts exchange the fewest values."""
        count, slack = divmod(length, period)
        middle = start + count // 2 * period

        def exchanged(phase: int) -> int:
            interface = self.interface(middle + phase - (period if phase else 0), period)
            return len(interface.inputs) + len(interface.outputs)

        start += min(range(slack + 1), key=exchanged)
        starts = [start + k * period for k in range(count)]
        patterns = [self.pattern(first, period) for first in starts]
        common = Counter(patterns).most_common(1)[0][0]
        return Stretch(
            period, tuple(s for s, p in zip(starts, patterns, strict=True) if p == common)
        )

    def _with_stragglers(self, stretch: Stretch) -> Stretch:
        """Adds occurrences that do not stand beside the others."""
        first, period = stretch.starts[0], stretch.period
        keys, pattern = self.keys[first : first + period], self.pattern(first, period)
        starts: list[int] = []
        covered = sorted(stretch.starts)
        position = 0
        while position + period <= len(self.keys):
            following = next((start for start in covered if start >= position), len(self.keys))
            if position == following or (
                position + period <= following
                and self.keys[position] == keys[0]
                and self.keys[position : position + period] == keys
                and self.pattern(position, period) == pattern
            ):
                starts.append(position)
                position += period
            else:
                position += 1
        return Stretch(period, tuple(starts))

    def pattern(self, start: int, period: int) -> Pattern:
        """Returns what each item reads within its stretch; -1 stands for what lies before it."""
        return tuple(
            tuple(max(operand - start, -1) for operand in self.sequence.operands[position])
            for position in range(start, start + period)
        )

    def interface(self, start: int, period: int) -> Interface:
        """Returns what the stretch from `start` on exchanges with the rest."""
        inside = range(start, start + period)
        reads = [r for i in inside for r in self.sequence.operands[i] if r < start]
        outputs = tuple(i for i in inside if self.users[i] and self.users[i][-1] >= inside.stop)
        return Interface(tuple(dict.fromkeys(reads)), outputs)

    def saving(self, stretch: Stretch) -> int:
        """Returns how many characters a function saves beyond what makes it worth while."""
        first, count = stretch.starts[len(stretch.starts) // 2], len(stretch.starts)
        body = sum(self.sizes[first : first + stretch.period])
        interface = self.interface(first, stretch.period)
        call = _CALL + _VALUE * (len(interface.inputs) + len(interface.outputs))
        saved = (count - 1) * body - (count + 1) * call
        return saved - max(count * body // 2, self.worth)
