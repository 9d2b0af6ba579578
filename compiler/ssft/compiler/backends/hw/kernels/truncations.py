"""Lets the tensor unit round results that everybody rounds first.

Half-precision models sum products in f32 and round the sums to bf16 in an operation of their own.
The tensor unit can write bf16: rounding once, as that operation does, it needs no pass of the
vector unit over f32 sums, which would be read and written again.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from ssft.compiler.backends.hw.graph import (
    ContractionOp,
    Graph,
    GraphOp,
    LoopNest,
    Operand,
    Store,
)
from ssft.compiler.backends.hw.kernels.dead_code import remove_dead_scalars
from ssft.compiler.backends.hw.uses import buffers_read, buffers_written
from ssft.compiler.backends.hw.views import Buffer, Factor, View
from ssft.hwmodel.isa import MicroOp

NARROW = "bf16"
"""What the tensor unit can round sums to."""


def fold_truncations(graph: Graph) -> None:
    """Makes results of contractions bf16 if all that anybody does with them is to truncate them.

    Truncations then copy, and are dropped from nests that go on computing; a nest that does nothing
    else becomes a `Store`, so that the contraction may write where it would have.
    """
    readers: dict[int, list[int]] = defaultdict(list)
    writers: dict[int, int] = defaultdict(int)
    for position, op in enumerate(graph.ops):
        for buffer in buffers_read(op):
            readers[id(buffer)].append(position)
        for buffer in buffers_written(op):
            writers[id(buffer)] += 1
    results = {id(buffer) for _, buffer in graph.results}
    for op in list(graph.ops):
        if not isinstance(op, ContractionOp) or op.accumulate:
            continue
        sums = op.c[0]
        kept = sums.kind != "value" or id(sums) in results or writers[id(sums)] > 1
        users = readers[id(sums)]
        if kept or sums.dtype != "f32" or not users:
            continue
        if all(_only_truncates(graph.ops[position], sums) for position in users):
            sums.dtype = NARROW
            for position in users:
                graph.ops[position] = _without_truncation(graph.ops[position], sums)


def _registers(nest: LoopNest, buffer: Buffer) -> set[int]:
    """Registers that hold elements of `buffer`."""
    return {number for number, operand in enumerate(nest.inputs) if operand.buffer is buffer}


def _only_truncates(op: GraphOp, buffer: Buffer) -> bool:
    """Whether `op` is a nest that rounds each element of `buffer` that it reads, and only that."""
    if not isinstance(op, LoopNest) or op.optimizer is not None:
        return False
    lists = [view.buffer for o in [*op.inputs, *op.outputs] for view in o.index if view is not None]
    if any(buffer is other for other in lists + [lookup.buffer for lookup in op.lookups]):
        return False
    registers = _registers(op, buffer)
    users = [micro for micro in op.code if registers & set(micro.operands)]
    return not registers & set(op.results) and all(map(_truncates, users))


def _truncates(micro: MicroOp) -> bool:
    return micro.name == "truncf" and micro.dtype == NARROW


def _without_truncation(op: GraphOp, buffer: Buffer) -> GraphOp:
    """`op`, which reads elements of `buffer` that are narrow already."""
    assert isinstance(op, LoopNest)
    if _copies(op):
        (source,), (target,) = op.inputs, op.outputs
        return Store(op.origin, _view(source, op.extents), _view(target, op.extents))
    registers = _registers(op, buffer)
    first = len(op.inputs) + len(op.outputs)
    same: dict[int, int] = {}
    for number, micro in enumerate(op.code):
        if _truncates(micro) and micro.operands[0] in registers:
            same[first + number] = micro.operands[0]
    op.code = [
        replace(micro, operands=tuple(same.get(r, r) for r in micro.operands)) for micro in op.code
    ]
    op.results = [same.get(register, register) for register in op.results]
    remove_dead_scalars(op)
    return op


def _copies(nest: LoopNest) -> bool:
    """Whether a nest moves one buffer to another and does nothing but truncate on the way."""
    if len(nest.inputs) != 1 or len(nest.outputs) != 1 or len(nest.code) != 1:
        return False
    whole = not any(nest.reduction) and nest.results == [2]
    return whole and not nest.inputs[0].indexed and not nest.outputs[0].indexed


def _view(operand: Operand, extents: tuple[int, ...]) -> View:
    dims = tuple(
        (Factor(extent, stride),) for extent, stride in zip(extents, operand.strides, strict=True)
    )
    return View(operand.buffer, operand.offset, dims)
