"""Lets operations write results straight to where they belong in DRAM.

A `Store` that moves a value which nobody else reads is dropped, and the nest or contraction that
computes the value writes to the store's target itself, tile by tile.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from ssft.compiler.backends.hw.graph import (
    ContractionOp,
    Graph,
    LoopNest,
    Operand,
    Store,
)
from ssft.compiler.backends.hw.importing.state import align
from ssft.compiler.backends.hw.uses import buffers_read, buffers_written
from ssft.compiler.backends.hw.views import View


def write_results_home(graph: Graph) -> None:
    """Drops stores whose source a single parallel nest can write to their target itself."""
    readers: dict[int, list[int]] = defaultdict(list)
    writers: dict[int, list[int]] = defaultdict(list)
    for position, op in enumerate(graph.ops):
        for buffer in buffers_read(op):
            readers[id(buffer)].append(position)
        for buffer in buffers_written(op):
            writers[id(buffer)].append(position)
    dropped: set[int] = set()
    for position, op in enumerate(graph.ops):
        if not isinstance(op, Store) or op.source.buffer.kind != "value":
            continue
        source = op.source.buffer
        made, read = writers[id(source)], readers[id(source)]
        if len(made) != 1 or read != [position] or op.source.elements != source.elements:
            continue
        maker = graph.ops[made[0]]
        target = id(op.target.buffer)
        between = [p for p in readers[target] + writers[target] if made[0] < p < position]
        if between or op.source.index_factors:
            continue
        moved = False
        if isinstance(maker, LoopNest):
            moved = _redirect(maker, op)
        elif isinstance(maker, ContractionOp):
            moved = _redirect_product(maker, op)
        if moved:
            dropped.add(position)
            writers[target] = [made[0] if p == position else p for p in writers[target]]
    graph.ops = [op for position, op in enumerate(graph.ops) if position not in dropped]


def _redirect(nest: LoopNest, store: Store) -> bool:
    """Makes the output of `nest` that is the store's source walk through the store's target."""
    if any(nest.reduction):
        return False
    (number,) = (i for i, out in enumerate(nest.outputs) if out.buffer is store.source.buffer)
    output = nest.outputs[number]
    moved = _walk(nest.extents, output, store.source, store.target)
    if moved is None or not _reads_only_what_it_writes(nest, moved):
        return False
    nest.outputs[number] = moved
    return True


def _reads_only_what_it_writes(nest: LoopNest, output: Operand) -> bool:
    """Whether each iteration reads no element of the output's memory but its own.

    Otherwise a tile would find what an earlier one has overwritten.
    """
    lists = [view for o in [*nest.inputs, *nest.outputs] for view in o.index if view is not None]
    if any(entry.buffer is output.buffer for entry in [*nest.lookups, *lists]):
        return False
    return all(
        operand.buffer is not output.buffer
        or (operand.offset, operand.strides, operand.index)
        == (output.offset, output.strides, output.index)
        for operand in nest.inputs
    )


def _redirect_product(product: ContractionOp, store: Store) -> bool:
    """Makes the result of a contraction walk through the store's target."""
    if product.accumulate or store.target.index_factors:
        return False
    if any(buffer is store.target.buffer for buffer in buffers_read(product)):
        return False  # a tile would find what an earlier one has overwritten
    extents = tuple(dim.extent for dim in product.dims)
    result = Operand(product.c[0], product.c[1], tuple(dim.c for dim in product.dims))
    kept = [d for d, dim in enumerate(product.dims) if dim.c]
    moved = _walk(
        tuple(extents[d] for d in kept),
        replace(result, strides=tuple(result.strides[d] for d in kept)),
        store.source,
        store.target,
    )
    if moved is None:
        return False
    strides = dict(zip(kept, moved.strides, strict=True))
    product.c = (moved.buffer, moved.offset)
    product.dims = tuple(replace(dim, c=strides.get(d, 0)) for d, dim in enumerate(product.dims))
    return True


def _walk(extents: tuple[int, ...], output: Operand, source: View, target: View) -> Operand | None:
    """`output`, which walks through the source's buffer, as a walk through the target."""
    loops, operands = align([source, target])
    if operands is None or output.offset != source.offset:
        return None
    read, written = operands
    strides: list[int] = []
    index: list[View | None] = []
    for extent, stride in zip(extents, output.strides, strict=True):
        for loop, size in enumerate(loops):
            start = read.strides[loop]
            if start == stride and size == extent:
                strides.append(written.strides[loop])
                index.append(written.index[loop])
                break
            within = start <= stride and stride * extent <= start * size and stride % start == 0
            if within and written.index[loop] is None:
                strides.append(stride // start * written.strides[loop])
                index.append(None)
                break
        else:
            return None
    return Operand(target.buffer, written.offset, tuple(strides), tuple(index))
