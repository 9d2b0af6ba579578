"""Straight-line code as numbers."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sequence:
    """Items in order; item i has the key ``keys[i]`` and reads the items ``operands[i]``.

    Keys are equal exactly where two items do the same, apart from what they read; all operands are
    positions of earlier items.
    """

    keys: tuple[int, ...]
    operands: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.keys)


@dataclass
class SequenceBuilder:
    """Collects items; equal keys get equal numbers across all sequences built by one builder."""

    numbers: dict[Hashable, int] = field(default_factory=dict)
    _keys: list[int] = field(default_factory=list)
    _operands: list[tuple[int, ...]] = field(default_factory=list)

    def append(self, key: Hashable, operands: Iterable[int] = ()) -> int:
        """Adds an item; returns its position."""
        self._keys.append(self.numbers.setdefault(key, len(self.numbers)))
        self._operands.append(tuple(operands))
        return len(self._keys) - 1

    def finish(self) -> Sequence:
        """Returns what was collected, and starts anew."""
        sequence = Sequence(tuple(self._keys), tuple(self._operands))
        self._keys, self._operands = [], []
        return sequence
