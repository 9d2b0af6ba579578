"""Layouts into which operands are copied when a provider cannot work on them as they lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from ssft.compiler.backends.cpu.layout import Layout

WORTHWHILE = 32768
"""Products of fewer multiply-adds run as loops on the operands as they are."""


def packed(maps: Sequence[tuple[int, ...]], layouts: Sequence[Layout], number: int) -> Layout:
    """Operand `number` without gaps, batch loops outermost and the contracted loops innermost."""
    output = set(maps[2])
    shared = output & set(maps[0]) & set(maps[1])

    def rank(loop: int) -> int:
        if loop in shared:
            return 0
        if number == 2:
            return 1 if loop in maps[0] else 2
        return 1 if loop in output else 2

    layout = layouts[number]
    order = sorted(range(len(layout.shape)), key=lambda dim: (rank(maps[number][dim]), dim))
    strides, step = [0] * len(order), 1
    for dim in reversed(order):
        strides[dim] = step
        step *= layout.shape[dim]
    return Layout(layout.shape, tuple(strides), 0, layout.dtype)


def packings(
    maps: Sequence[tuple[int, ...]], layouts: Sequence[Layout]
) -> Iterator[tuple[tuple[int, ...], list[Layout]]]:
    """Which operands to copy, and the layouts that result; the cheapest choices come first."""
    for count in range(4):
        for chosen in combinations(range(3), count):
            yield (
                chosen,
                [
                    packed(maps, layouts, number) if number in chosen else layout
                    for number, layout in enumerate(layouts)
                ],
            )
