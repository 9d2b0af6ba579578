"""Removes what nobody reads: outputs of nests, operations, scalar code, inputs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ssft.compiler.backends.hw.graph import Graph, LoopNest
from ssft.compiler.backends.hw.uses import buffers_read, buffers_written


def remove_dead_code(graph: Graph) -> None:
    """Drops values that neither an argument, nor a result, nor a living operation needs.

    Lowering from PyTorch leaves some, e.g. the position of each maximum that a softmax subtracts.
    """
    readers = Counter(id(buffer) for op in graph.ops for buffer in buffers_read(op))
    kept = {id(buffer) for _, buffer in graph.results} | {id(b) for b in graph.arguments}
    living = []
    for op in reversed(graph.ops):
        if isinstance(op, LoopNest):
            for buffer in buffers_read(op):
                readers[id(buffer)] -= 1
            _keep_outputs(
                op, [readers[id(o.buffer)] > 0 or id(o.buffer) in kept for o in op.outputs]
            )
            remove_dead_scalars(op)
            for buffer in buffers_read(op):
                readers[id(buffer)] += 1
        if any(readers[id(b)] or id(b) in kept for b in buffers_written(op)):
            living.append(op)
        else:
            for buffer in buffers_read(op):
                readers[id(buffer)] -= 1
    graph.ops = living[::-1]


def _keep_outputs(nest: LoopNest, needed: list[bool]) -> None:
    """Drops outputs that are not needed; one that sums and reads itself only is not, either."""
    if all(needed):
        return
    first = len(nest.inputs)
    used = {r for op in nest.code for r in op.operands} | {
        r for r, keep in zip(nest.results, needed, strict=True) if keep
    }
    drop = [
        place
        for place, keep in enumerate(needed)
        if not keep and (first + place not in used or not _feeds(nest, first + place, needed))
    ]
    drop = [place for place in drop if _only_feeds_itself(nest, place, set(drop))]
    if not drop:
        return
    code, results = nest.code, nest.results
    nest.results = [r for place, r in enumerate(results) if place not in drop]
    nest.outputs = [o for place, o in enumerate(nest.outputs) if place not in drop]
    gone = [first + place for place in drop]
    _drop_dead_operations(nest, code, gone)


def _feeds(nest: LoopNest, register: int, needed: list[bool]) -> bool:
    return register in _ancestors(nest, [r for r, k in zip(nest.results, needed, strict=True) if k])


def _only_feeds_itself(nest: LoopNest, place: int, dropped: set[int]) -> bool:
    """Whether an output's current value matters for dropped outputs only."""
    others = [r for p, r in enumerate(nest.results) if p not in dropped]
    return len(nest.inputs) + place not in _ancestors(nest, others)


def _ancestors(nest: LoopNest, roots: list[int]) -> set[int]:
    first = len(nest.inputs) + len(nest.outputs)
    found: set[int] = set()
    pending = list(roots)
    while pending:
        register = pending.pop()
        if register in found or register < 0:
            continue
        found.add(register)
        if register >= first:
            pending += nest.code[register - first].operands
    return found


def _drop_dead_operations(nest: LoopNest, code: list, gone: list[int]) -> None:
    """Renumbers after the outputs `gone` (register numbers) were dropped, without dead code."""
    first = len(nest.inputs) + len(nest.outputs) + len(gone)
    living: set[int] = set()
    pending = [r for r in nest.results if r >= first]
    while pending:
        register = pending.pop()
        if register not in living:
            living.add(register)
            pending += [r for r in code[register - first].operands if r >= first]
    moved: dict[int, int] = {}
    for register in range(first):
        if register not in gone:
            moved[register] = len(moved)
    kept = []
    for number, op in enumerate(code):
        if first + number in living:
            moved[first + number] = len(moved)
            kept.append(op)
    nest.code = [
        replace(op, operands=tuple(moved[r] if r >= 0 else r for r in op.operands)) for op in kept
    ]
    nest.results = [moved[r] for r in nest.results]


def remove_dead_scalars(nest: LoopNest) -> None:
    """Drops operations and inputs of a nest that no result needs."""
    _drop_dead_operations(nest, nest.code, [])
    used = set(nest.results) | {r for op in nest.code for r in op.operands}
    unused = [register for register in range(len(nest.inputs)) if register not in used]
    if not unused:
        return
    nest.inputs = [o for register, o in enumerate(nest.inputs) if register not in unused]

    def moved(register: int) -> int:
        return register - sum(u < register for u in unused) if register >= 0 else register

    nest.code = [replace(op, operands=tuple(map(moved, op.operands))) for op in nest.code]
    nest.results = [moved(r) for r in nest.results]
