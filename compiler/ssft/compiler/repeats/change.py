"""The same code with more or fewer repetitions."""

from __future__ import annotations

from collections.abc import Sequence as Values
from dataclasses import dataclass
from itertools import accumulate

from ssft.compiler.repeats.runs import Run
from ssft.compiler.repeats.sequence import Sequence


class UnevenError(Exception):
    """The code does not say what it would be with another number of repetitions."""


@dataclass(frozen=True)
class Changed:
    """Code with changed numbers of repetitions.

    Item i is a copy of item ``sources[i]`` of the old code that reads ``operands[i]``, positions in
    the new code; ``places[i]`` is its run (a number) and repetition there, or None.
    """

    sources: tuple[int, ...]
    operands: tuple[tuple[int, ...], ...]
    places: tuple[tuple[int, int] | None, ...]


def change_counts(sequence: Sequence, runs: Values[Run], extra: Values[int]) -> Changed:
    """Returns `sequence` with ``extra[i]`` more repetitions of ``runs[i]`` (fewer if negative).

    What a repetition reads in another run, or in its own, keeps its distance in repetitions, from
    the other run's start or, if it walks backwards, from its end. What is read from outside, or
    always the same, must lie among a run's first two repetitions or its last two: it stays there.

    Raises:
        UnevenError: an operand does neither.
    """
    change = _Change(sequence, runs, extra)
    sources: list[int] = []
    places: list[tuple[int, int] | None] = []
    operands: list[tuple[int, ...]] = []
    for segment in change.segments():
        if isinstance(segment, range):
            for position in segment:
                sources.append(position)
                places.append(None)
                operands.append(tuple(map(change.fixed, sequence.operands[position])))
            continue
        run, count = runs[segment], change.counts[segment]
        for repetition in range(count):
            old = change.source(segment, repetition)
            for offset in range(run.period):
                sources.append(run.start + old * run.period + offset)
                places.append((segment, repetition))
                operands.append(change.inner(segment, repetition, offset))
    return Changed(tuple(sources), tuple(operands), tuple(places))


class _Change:
    """Where old positions go."""

    def __init__(self, sequence: Sequence, runs: Values[Run], extra: Values[int]) -> None:
        self.sequence, self.runs, self.extra = sequence, runs, extra
        self.counts = [run.count + more for run, more in zip(runs, extra, strict=True)]
        growth = [run.period * more for run, more in zip(runs, extra, strict=True)]
        self.before = [0, *accumulate(growth)]
        self.rules: dict[tuple[int, int], list[_Rule]] = {}
        if any(count < 2 for count in self.counts):
            raise UnevenError("fewer than two repetitions")

    def segments(self) -> list[range | int]:
        """The code between runs as ranges of old positions, and runs as numbers, in order."""
        found: list[range | int] = []
        end = 0
        for number, run in enumerate(self.runs):
            found += [range(end, run.start), number]
            end = run.stop
        return [*found, range(end, len(self.sequence))]

    def run_of(self, position: int) -> tuple[int, int, int] | None:
        """Returns (run, repetition, offset) of an old position, or None outside of all runs."""
        for number, run in enumerate(self.runs):
            place = run.place(position)
            if place is not None:
                return number, *place
        return None

    def source(self, number: int, repetition: int) -> int:
        """Returns the old repetition that a new one is a copy of."""
        old, new = self.runs[number].count, self.counts[number]
        if repetition < min(old, new) - 2:
            return repetition
        return repetition - new + old if repetition >= new - 2 else 1

    def position(self, number: int, repetition: int, offset: int) -> int:
        """Returns the new position of an item of a run."""
        if not 0 <= repetition < self.counts[number]:
            raise UnevenError("an operand beyond the repetitions")
        run = self.runs[number]
        return run.start + self.before[number] + repetition * run.period + offset

    def fixed(self, position: int) -> int:
        """Returns where an old position goes that does not depend on the repetition reading it."""
        place = self.run_of(position)
        if place is None:
            passed = sum(run.stop <= position for run in self.runs)
            return position + self.before[passed]
        number, repetition, offset = place
        count = self.runs[number].count
        if repetition >= count - 2:
            repetition += self.extra[number]
        elif repetition > 1:
            raise UnevenError("an operand in the middle of the repetitions")
        return self.position(number, repetition, offset)

    def inner(self, number: int, repetition: int, offset: int) -> tuple[int, ...]:
        """Returns what an item of a new repetition reads."""
        if (number, offset) not in self.rules:
            run = self.runs[number]
            rows = [
                self.sequence.operands[run.start + k * run.period + offset]
                for k in range(run.count)
            ]
            self.rules[number, offset] = [_Rule.of(self, slot) for slot in zip(*rows, strict=True)]
        count = self.counts[number]
        return tuple(rule.operand(self, repetition, count) for rule in self.rules[number, offset])


@dataclass(frozen=True)
class _Rule:
    """How one operand moves from repetition to repetition.

    `run`, `first` and `offset` say that repetition k reads repetition ``first + direction * k`` of
    a run (`first` counts from the old run's start); a `direction` of 0 means always `first`, a
    position. `entry` and `exit` are the positions that the first and the last repetition read
    instead, if they do.
    """

    direction: int
    first: int
    run: int = -1
    offset: int = 0
    entry: int | None = None
    exit: int | None = None

    @classmethod
    def of(cls, change: _Change, slot: Values[int]) -> _Rule:
        """Returns the rule that an operand's old positions follow."""
        inner = slot[1:-1]
        if len(set(inner)) == 1 and (len(inner) > 1 or slot[0] == inner[0] or slot[-1] == inner[0]):
            entry = None if slot[0] == inner[0] else slot[0]
            exit_ = None if slot[-1] == inner[0] else slot[-1]
            return cls(0, inner[0], entry=entry, exit=exit_)
        for direction in (1, -1):
            rule = cls._moving(change, slot, direction)
            if rule is not None:
                return rule
        raise UnevenError("an operand that does not move evenly")

    @classmethod
    def _moving(cls, change: _Change, slot: Values[int], direction: int) -> _Rule | None:
        places = [change.run_of(position) for position in slot]
        anchor = places[1]
        if anchor is None:
            return None
        run, repetition, offset = anchor
        first = repetition - direction
        follows = [place == (run, first + direction * k, offset) for k, place in enumerate(places)]
        if not all(follows[1:-1]) or sum(follows) < 3:
            return None
        entry = None if follows[0] else slot[0]
        exit_ = None if follows[-1] else slot[-1]
        return cls(direction, first, run, offset, entry, exit_)

    def operand(self, change: _Change, repetition: int, count: int) -> int:
        """Returns the new position that a new repetition, of `count`, reads."""
        if repetition == 0 and self.entry is not None:
            return change.fixed(self.entry)
        if repetition == count - 1 and self.exit is not None:
            return change.fixed(self.exit)
        if self.direction == 0:
            return change.fixed(self.first)
        target = self.first + self.direction * repetition
        if self.direction < 0:
            target += change.extra[self.run]
        return change.position(self.run, target, self.offset)
