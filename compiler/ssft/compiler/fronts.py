"""Which permutations of axes bring a chosen set of indices to the front of a dimension."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import prod

from ssft.compiler.analysis.axes import Axis, DimensionLayout

Fronts = dict[Axis, tuple[int, ...]]
"""Per axis, the original indices that must come first, in this order."""


def fronts_of(
    chosen: Collection[int], layout: DimensionLayout, fixed: Collection[int] = ()
) -> Fronts | None:
    """Returns what must come first on each axis so that `chosen` becomes contiguous.

    Only free axes that are not in `fixed` (ids) can be permuted. A free axis whose first indices
    are chosen already is in the result, too, so that no other set's wish moves it unawares.
    None if no permutation of the dimension's axes makes the set contiguous: chosen indices in
    several segments, or of a product in more than whole blocks and one part of a block
    (with grouped queries: whole groups plus at most one partial group).
    """
    if not chosen:
        return {}
    offset = 0
    found: Fronts | None = None
    for segment in layout.segments:
        size = prod(factor.size for factor in segment)
        inside = {index - offset for index in chosen if offset <= index < offset + size}
        offset += size
        if not inside:
            continue
        if found is not None:
            return None
        found = _prefix(inside, segment, fixed)
        if found is None:
            return None
        for axis in _repeated(found, segment):
            if not is_first(found.pop(axis)):
                return None
    return found


def is_first(front: tuple[int, ...]) -> bool:
    """Whether `front` comes first anyway."""
    return front == tuple(range(len(front)))


def _repeated(fronts: Fronts, segment: tuple[Axis | DimensionLayout, ...]) -> list[Axis]:
    """Axes of `fronts` that occur elsewhere in the segment, where they would move, too."""
    occurring = [axis.id for _, axis in DimensionLayout((segment,)).axes()]
    return [axis for axis in fronts if occurring.count(axis.id) > 1]


def _prefix(
    chosen: set[int], factors: Sequence[Axis | DimensionLayout], fixed: Collection[int]
) -> Fronts | None:
    if not factors or len(chosen) == prod(factor.size for factor in factors):
        return {}
    first, rest = factors[0], factors[1:]
    block = prod(factor.size for factor in rest)
    groups: dict[int, set[int]] = {}
    for index in chosen:
        groups.setdefault(index // block, set()).add(index % block)
    whole = sorted(group for group, members in groups.items() if len(members) == block)
    partial = sorted(group for group, members in groups.items() if len(members) < block)
    if len(partial) > 1:
        return None
    front = tuple(whole + partial)
    fronts: Fronts = {}
    if isinstance(first, Axis) and first.is_free and first.id not in fixed:
        fronts[first] = front
    elif not is_first(front):
        return None
    if partial:
        inner = _prefix(groups[partial[0]], rest, fixed)
        if inner is None or any(
            axis in fronts and not (is_first(fronts[axis]) and is_first(front))
            for axis, front in inner.items()
        ):
            return None
        fronts |= inner
    return fronts


def combine(requests: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Returns one order's front for several requested fronts of the same axis.

    Two different sets both become contiguous as [first only | both | second only]
    (S2FT, arXiv 2412.06289, code of the co-permutation). Of more than two sets the two that are
    asked for most often are served; the others stay gathered.
    """
    count: dict[frozenset[int], int] = {}
    order: dict[frozenset[int], tuple[int, ...]] = {}
    for front in requests:
        count[frozenset(front)] = count.get(frozenset(front), 0) + 1
        order.setdefault(frozenset(front), front)
    ranked = sorted(count, key=lambda chosen: -count[chosen])
    if len(ranked) == 1:
        return order[ranked[0]]
    # Of two nested sets the smaller comes first: of grouped queries, what is only a part of a group
    # must come last.
    first, second = sorted(ranked[:2], key=len) if _nested(*ranked[:2]) else ranked[:2]
    only_first = [index for index in order[first] if index not in second]
    both = [index for index in order[first] if index in second]
    only_second = [index for index in order[second] if index not in first]
    return tuple(only_first + both + only_second)


def _nested(first: frozenset[int], second: frozenset[int]) -> bool:
    return first <= second or second <= first
