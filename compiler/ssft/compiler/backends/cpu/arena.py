"""Static memory planning: where each temporary of the straight-line step lives in one arena."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from ssft.compiler.backends.cpu.schedule import Schedule

ALIGNMENT = 64
"""Bytes; a cache line, and the width of the widest vector register."""

WASTE = 1.005
"""How much larger than what is in use at once an arena may be before other orders are tried."""


@dataclass(frozen=True)
class Lifetime:
    """A temporary of `bytes` bytes that is in use from call `first` to call `last`, inclusive."""

    bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class ArenaPlan:
    """The offset of each temporary, and the size of the arena, in bytes."""

    offsets: Mapping[int, int]
    bytes: int


def lifetimes(schedule: Schedule) -> dict[int, Lifetime]:
    """The lifetime of each temporary that some call uses, by buffer number."""
    found: dict[int, Lifetime] = {}
    for position, call in enumerate(schedule.calls):
        for operand in call.operands:
            buffer = schedule.buffers[operand.buffer]
            if buffer.kind == "temporary":
                first = found[operand.buffer].first if operand.buffer in found else position
                found[operand.buffer] = Lifetime(buffer.bytes, first, position)
    return found


def alive(wanted: Mapping[int, Lifetime]) -> int:
    """The most bytes in use at once: no arena can be smaller."""
    return _peak(wanted)[0]


def _peak(wanted: Mapping[int, Lifetime]) -> tuple[int, int]:
    """The most bytes in use at once, and the call at which they are."""
    changes: dict[int, int] = {}
    for life in wanted.values():
        changes[life.first] = changes.get(life.first, 0) + life.bytes
        changes[life.last + 1] = changes.get(life.last + 1, 0) - life.bytes
    positions = sorted(changes)
    totals = accumulate(changes[position] for position in positions)
    return max(zip(totals, positions, strict=True), default=(0, 0))


def plan(wanted: Mapping[int, Lifetime]) -> ArenaPlan:
    """Places buffers so that no two whose lifetimes meet overlap.

    Greedy, each buffer into the lowest-waste gap between those already placed that are alive at the
    same time, by decreasing size (Pisarchyk & Lee 2020, "Efficient Memory Management for Deep
    Neural Net Inference"). If that wastes memory, other orders are tried, and the best is taken.
    Offsets are multiples of `ALIGNMENT`.
    """
    least, peak = _peak(wanted)
    best: ArenaPlan | None = None
    for order in _orders(wanted, peak):
        found = _place(order, wanted)
        best = found if best is None or found.bytes < best.bytes else best
        if best.bytes <= WASTE * least + ALIGNMENT * len(wanted):
            break
    return best or ArenaPlan({}, 0)


def _orders(wanted: Mapping[int, Lifetime], peak: int) -> Iterator[list[int]]:
    """Orders in which to place buffers; each wins for some steps."""

    def calls(number: int) -> int:
        return wanted[number].last - wanted[number].first + 1

    def at_peak(number: int) -> bool:
        return wanted[number].first <= peak <= wanted[number].last

    numbers = sorted(wanted, key=lambda number: (-wanted[number].bytes, number))
    yield numbers
    yield sorted(numbers, key=lambda n: (not at_peak(n), -calls(n) * at_peak(n)))
    yield sorted(numbers, key=lambda n: -wanted[n].bytes * calls(n) ** 0.5)
    yield sorted(numbers, key=lambda n: -calls(n))


def _place(order: Sequence[int], wanted: Mapping[int, Lifetime]) -> ArenaPlan:
    placed: list[tuple[int, int, Lifetime]] = []  # offset, end, lifetime; sorted by offset
    offsets: dict[int, int] = {}
    total = 0
    for number in order:
        life = wanted[number]
        size = -(-max(life.bytes, 1) // ALIGNMENT) * ALIGNMENT
        offset = _best_gap(placed, life, size)
        offsets[number] = offset
        insort(placed, (offset, offset + size, life), key=lambda entry: entry[0])
        total = max(total, offset + size)
    return ArenaPlan(offsets, total)


def _best_gap(placed: list[tuple[int, int, Lifetime]], life: Lifetime, size: int) -> int:
    """The start of the smallest gap of at least `size` bytes; behind everything if none fits."""
    best: tuple[int, int] | None = None
    free_from = 0
    for offset, end, other in placed:
        if other.first > life.last or other.last < life.first:
            continue
        gap = offset - free_from
        if gap >= size and (best is None or gap < best[0]):
            best = (gap, free_from)
        free_from = max(free_from, end)
    return best[1] if best else free_from
