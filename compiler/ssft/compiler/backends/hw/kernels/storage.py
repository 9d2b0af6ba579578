"""Stores what only the tensor unit reads as bf16.

The tensor unit rounds its operands to bf16 before it multiplies. A value that nobody else reads may
therefore be rounded when it is written: results are the same to the last bit, at half the traffic.
A parameter that trains keeps its f32 master, which the optimizer updates, and gets a bf16 mirror
for the tensor unit, which the same update writes.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np

from ssft.compiler.backends.hw.graph import ContractionOp, Graph, GraphOp, LoopNest
from ssft.compiler.backends.hw.uses import buffers_read, buffers_written
from ssft.compiler.backends.hw.views import Buffer


def narrow_storage(graph: Graph) -> None:
    """Chooses bf16 storage and mirrors where that changes no result."""
    products: dict[int, list[ContractionOp]] = defaultdict(list)
    others: dict[int, list[GraphOp]] = defaultdict(list)
    writers: dict[int, list[GraphOp]] = defaultdict(list)
    for op in graph.ops:
        for buffer in buffers_read(op):
            factor = isinstance(op, ContractionOp) and _is_factor(op, buffer)
            if factor:
                products[id(buffer)].append(op)  # type: ignore[arg-type]
            else:
                others[id(buffer)].append(op)
        for buffer in buffers_written(op):
            writers[id(buffer)].append(op)
    results = {id(buffer) for _, buffer in graph.results}
    for buffer in [*graph.arguments, *graph.buffers]:
        key = id(buffer)
        if buffer.dtype != "f32" or not products[key] or key in results:
            continue
        if buffer.kind == "argument" and (writers[key] or others[key]):
            _mirror(graph, buffer, products[key], writers[key])
        elif not others[key] and all(_writes_once(op) for op in writers[key]):
            buffer.storage = "bf16"
            if buffer.data is not None:
                buffer.data = _rounded(buffer.data)


def _rounded(data: np.ndarray) -> np.ndarray:
    """f32 numbers as bf16, to nearest even, by their bits."""
    bits = np.ascontiguousarray(data, np.float32).view(np.uint32)
    nearest = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    return np.where(np.isnan(data), bits >> 16 | 0x40, nearest).astype(np.uint16)


def _is_factor(op: ContractionOp, buffer: Buffer) -> bool:
    """Whether `op` only multiplies the elements of `buffer`."""
    added_to = op.accumulate and op.c[0] is buffer
    listed = op.index is not None and op.index[1].buffer is buffer
    return not added_to and not listed


def _writes_once(op: GraphOp) -> bool:
    """Whether each element is written once and finished then; sums over tiles are not."""
    if isinstance(op, LoopNest):
        return not any(op.reduction)
    return isinstance(op, ContractionOp) and not op.accumulate


def _mirror(
    graph: Graph, buffer: Buffer, products: list[ContractionOp], writers: list[GraphOp]
) -> None:
    """Gives the tensor unit a bf16 copy of an argument, kept up to date by those who write it."""
    nests = [op for op in writers if isinstance(op, LoopNest) and not any(op.reduction)]
    if len(nests) != len(writers):
        return
    copy = replace(buffer, name=f"{buffer.name}:bf16", argument=None, storage="bf16")
    copy.mirror = buffer.argument
    graph.arguments.append(copy)
    for op in products:
        op.a = (copy, op.a[1]) if op.a[0] is buffer else op.a
        op.b = (copy, op.b[1]) if op.b[0] is buffer else op.b
    for nest in nests:
        for output, register in list(zip(nest.outputs, nest.results, strict=True)):
            if output.buffer is buffer:
                _add_output(nest, replace(output, buffer=copy), register)


def _add_output(nest: LoopNest, output: object, register: int) -> None:
    """Appends an output; registers of code move by one, since outputs are numbered before it."""
    first = len(nest.inputs) + len(nest.outputs)

    def moved(number: int) -> int:
        return number + 1 if number >= first else number

    nest.code = [replace(op, operands=tuple(moved(r) for r in op.operands)) for op in nest.code]
    nest.results = [moved(r) for r in [*nest.results, register]]
    nest.outputs.append(output)  # type: ignore[arg-type]
