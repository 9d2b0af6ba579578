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

    Only free axes that are not in `fixed` (ids) can be permuted; an axis whose first indices are
    chosen already needs nothing.
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
        if found is None or _repeats(found, segment):
            return None
    return found


def _repeats(fronts: Fronts, segment: tuple[Axis | DimensionLayout, ...]) -> bool:
    """Whether an axis of `fronts` occurs elsewhere in the segment, where it would move, too."""
    occurring = [axis.id for _, axis in DimensionLayout((segment,)).axes()]
    return any(occurring.count(axis.id) > 1 for axis in fronts)


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
    if front != tuple(range(len(front))):
        if not isinstance(first, Axis) or not first.is_free or first.id in fixed:
            return None
        fronts[first] = front
    if partial:
        inner = _prefix(groups[partial[0]], rest, fixed)
        if inner is None:
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
