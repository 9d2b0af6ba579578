"""The leading loops that the nests of a vector kernel have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ssft.compiler.backends.hw.graph import LoopNest, Operand
from ssft.compiler.backends.hw.views import Buffer
from ssft.hwmodel.isa.contraction import GROUP


def leading_rows(nest: LoopNest) -> tuple[int, ...]:
    """The longest run of leading loops that are all parallel or all reductions."""
    if not nest.extents:
        return ()
    kind = nest.reduction[0]
    count = next((d for d, r in enumerate(nest.reduction) if r != kind), len(nest.reduction))
    return nest.extents[:count]


def fits_rows(operand: Operand, rows: Sequence[int]) -> bool:
    """Whether `operand` moves along every row loop of more than one iteration."""
    return all(stride or extent == 1 for stride, extent in zip(operand.strides, rows, strict=False))


def common_rows(
    nests: Sequence[LoopNest], rows: tuple[int, ...], nest: LoopNest, shared: Sequence[Buffer]
) -> tuple[int, ...] | None:
    """The longest row space of `nest` and the nests of a kernel with row space `rows`.

    `shared` are the buffers of the kernel's own that `nest` reads or adds to: they must move along
    the rows in the same way everywhere. None if there is no such space.
    """
    own = leading_rows(nest)
    if not rows and not own:
        return ()
    merged = _merge(rows, own)
    while merged:
        if _splittable([*nests, nest], merged) and _conform(nests, nest, merged, shared):
            return merged
        merged = merged[:-1]
    return None


def _merge(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    """The longest common refined prefix of two lists of extents, major first."""
    merged: list[int] = []
    left, right = list(one), list(other)
    while left and right:
        a, b = left.pop(0), right.pop(0)
        if a == b:
            merged.append(a)
        elif a % b == 0:
            merged.append(b)
            left.insert(0, a // b)
        elif b % a == 0:
            merged.append(a)
            right.insert(0, b // a)
        else:
            break
    return tuple(merged)


def _splittable(nests: Sequence[LoopNest], rows: tuple[int, ...]) -> bool:
    """Whether the leading loops of all nests can be split into `rows`."""
    return all(_cuts(nest, rows) is not None for nest in nests)


def _cuts(nest: LoopNest, rows: tuple[int, ...]) -> list[list[int]] | None:
    """For each leading loop, the row extents that it is split into (the last may be a rest)."""
    cuts: list[list[int]] = []
    remaining = list(rows)
    for loop, extent in enumerate(nest.extents):
        if not remaining:
            break
        parts: list[int] = []
        while remaining and extent % (math.prod(parts) * remaining[0]) == 0:
            if math.prod(parts) == extent:
                break
            parts.append(remaining.pop(0))
        if not parts:
            return None
        rest = extent // math.prod(parts)
        if rest > 1:
            parts.append(rest)
            if remaining:
                return None
        if len(parts) > 1 and not _may_split(nest, loop):
            return None
        cuts.append(parts)
    return None if remaining else cuts


def _may_split(nest: LoopNest, loop: int) -> bool:
    looked_up = any(loop in lookup.loops for lookup in nest.lookups)
    listed = any(o.index and o.index[loop] for o in [*nest.inputs, *nest.outputs])
    return loop not in nest.indexes and not looked_up and not listed


def _conform(
    nests: Sequence[LoopNest], nest: LoopNest, rows: tuple[int, ...], shared: Sequence[Buffer]
) -> bool:
    """Whether each shared buffer is cut into rows in one way: as its leading dimensions."""
    for buffer in shared:
        for member in [*nests, nest]:
            cuts = _cuts(member, rows)
            assert cuts is not None
            for operand in [*member.inputs, *member.outputs]:
                if operand.buffer is buffer and not _leads(operand, cuts, rows):
                    return False
    return True


def _leads(operand: Operand, cuts: list[list[int]], rows: tuple[int, ...]) -> bool:
    """Whether the rows are the leading dimensions of the operand's buffer."""
    strides = _split_strides(operand.strides, cuts)[: len(rows)]
    expected = operand.buffer.elements
    for extent, stride in zip(rows, strides, strict=True):
        if expected % extent:
            return False
        expected //= extent
        if stride != expected and extent > 1:
            return False
    return operand.offset < expected or not rows


def _split_strides(strides: Sequence[int], cuts: list[list[int]]) -> list[int]:
    split: list[int] = []
    for stride, parts in zip(strides, cuts, strict=False):
        inner = math.prod(parts)
        for part in parts:
            inner //= part
            split.append(stride * inner)
    return [*split, *strides[len(cuts) :]]


def split_leading(nest: LoopNest, rows: tuple[int, ...]) -> None:
    """Splits the leading loops of `nest` so that they are `rows`."""
    cuts = _cuts(nest, rows)
    assert cuts is not None
    if all(len(parts) == 1 for parts in cuts):
        return
    renumbered: dict[int, int] = {}
    count = 0
    for loop in range(len(nest.extents)):
        renumbered[loop] = count
        count += len(cuts[loop]) if loop < len(cuts) else 1
    flat = [part for parts in cuts for part in parts]
    nest.extents = (*flat, *nest.extents[len(cuts) :])
    nest.reduction = tuple(
        kind
        for loop, kind in enumerate(nest.reduction)
        for _ in (cuts[loop] if loop < len(cuts) else [1])
    )
    for operand in [*nest.inputs, *nest.outputs]:
        operand.strides = tuple(_split_strides(operand.strides, cuts))
        if operand.index:
            operand.index = tuple(
                view
                for loop, view in enumerate(operand.index)
                for view in [view] * (len(cuts[loop]) if loop < len(cuts) else 1)
            )
    for number, lookup in enumerate(nest.lookups):
        loops = tuple(None if loop is None else renumbered[loop] for loop in lookup.loops)
        nest.lookups[number] = replace(lookup, loops=loops)
    nest.code = [
        replace(op, immediate=renumbered[int(op.immediate)])  # type: ignore[arg-type]
        if op.name == "index"
        else op
        for op in nest.code
    ]


def merge_sums(nest: LoopNest) -> None:
    """Puts neighbouring loops that a nest sums over into one, where operands lie accordingly.

    Tiles may be cut out of one loop at any multiple of a group of terms; out of two, only where the
    inner one is such a multiple itself.
    """
    loop = 0
    while loop + 1 < len(nest.extents):
        if _mergeable(nest, loop):
            _merge_loops(nest, loop)
        else:
            loop += 1


def _mergeable(nest: LoopNest, loop: int) -> bool:
    inner = nest.extents[loop + 1]
    return (
        nest.reduction[loop]
        and nest.reduction[loop + 1]
        and not nest.lookups
        and not {loop, loop + 1} & nest.indexes
        and not any(operand.indexed for operand in [*nest.inputs, *nest.outputs])
        and all(
            operand.strides[loop] == inner * operand.strides[loop + 1]
            for operand in [*nest.inputs, *nest.outputs]
        )
    )


def _merge_loops(nest: LoopNest, loop: int) -> None:
    def without(entries: tuple) -> tuple:
        return (*entries[:loop], *entries[loop + 1 :])

    extent = nest.extents[loop] * nest.extents[loop + 1]
    nest.extents = (*nest.extents[:loop], extent, *nest.extents[loop + 2 :])
    nest.reduction = without(nest.reduction)
    for operand in [*nest.inputs, *nest.outputs]:
        operand.strides = without(operand.strides)
        operand.index = without(operand.index)
    nest.code = [
        replace(op, immediate=int(op.immediate or 0) - 1)  # type: ignore[arg-type]
        if op.name == "index" and int(op.immediate or 0) > loop  # type: ignore[arg-type]
        else op
        for op in nest.code
    ]


def keeps_groups(nest: LoopNest, rows: Sequence[int]) -> bool:
    """Whether tiles can be cut out of the outermost of `rows` without cutting groups of a sum."""
    if not rows or not any(nest.reduction[:1]):
        return True
    loops = zip(nest.extents, nest.reduction, strict=True)
    inner = math.prod(extent for extent, summed in loops if summed) // rows[0]
    return len(rows) == 1 or inner % GROUP == 0
