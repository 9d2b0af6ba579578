"""Which buffers an operation of the graph reads and writes."""

from __future__ import annotations

from collections.abc import Iterator

from ssft.compiler.backends.hw.graph import (
    ContractionOp,
    GraphOp,
    LoopNest,
    RowLookup,
    ScatterAdd,
    Store,
)
from ssft.compiler.backends.hw.views import Buffer, View


def buffers_read(op: GraphOp) -> list[Buffer]:
    """Buffers whose contents `op` reads, index lists included, each once."""
    return list({id(buffer): buffer for buffer in _read(op)}.values())


def buffers_written(op: GraphOp) -> list[Buffer]:
    """Buffers that `op` writes, each once."""
    return list({id(buffer): buffer for buffer in _written(op)}.values())


def _lists(view: View) -> Iterator[Buffer]:
    for factor in view.index_factors:
        assert factor.index is not None
        yield factor.index.buffer


def _read(op: GraphOp) -> Iterator[Buffer]:
    match op:
        case LoopNest():
            for operand in op.inputs:
                yield operand.buffer
            for operand in [*op.inputs, *op.outputs]:
                yield from (view.buffer for view in operand.index if view is not None)
            for lookup in op.lookups:
                yield lookup.buffer
            yield from (o.buffer for o in op.outputs if o.initial is None and op.accumulates(o))
        case ContractionOp():
            yield op.a[0]
            yield op.b[0]
            if op.index is not None:
                yield op.index[1].buffer
            if op.accumulate:
                yield op.c[0]
        case RowLookup():
            yield op.table
            yield op.index.buffer
        case ScatterAdd():
            yield op.out
            yield op.source
            yield op.index.buffer
        case Store():
            if op.source.buffer.splat is None:
                yield op.source.buffer
            yield from _lists(op.source)
            yield from _lists(op.target)


def _written(op: GraphOp) -> Iterator[Buffer]:
    match op:
        case LoopNest():
            yield from (operand.buffer for operand in op.outputs)
        case ContractionOp():
            yield op.c[0]
        case RowLookup() | ScatterAdd():
            yield op.out
        case Store():
            yield op.target.buffer
