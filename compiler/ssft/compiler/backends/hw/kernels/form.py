"""Groups loop nests into kernels that work on one tile of rows after the other.

All nests of a kernel have the same leading loops, the *rows*, and everything they hand to each
other stays with its row. A tile of rows can therefore run through all of them: softmax, norms and
chains of element-wise operations become one micro-program each, whose intermediate values never
leave the vector unit. A nest may also sum over the rows; its result is complete after the last
tile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ssft.compiler.backends.hw.graph import Graph, GraphOp, LoopNest, Operand, Origin
from ssft.compiler.backends.hw.kernels.row_space import (
    common_rows,
    fits_rows,
    keeps_groups,
    leading_rows,
    merge_sums,
    split_leading,
)
from ssft.compiler.backends.hw.uses import buffers_read, buffers_written
from ssft.compiler.backends.hw.views import Buffer

MAX_NESTS = 48
"""Nests in one kernel; micro-programs should stay short enough to be read."""


@dataclass(slots=True, eq=False)
class VectorKernel:
    """Loop nests that share their leading loops `rows`."""

    nests: list[LoopNest]
    rows: tuple[int, ...]
    position: int
    closed: bool = False
    summed: set[int] = field(default_factory=set)
    """Ids of buffers that are complete only after the last tile."""

    @property
    def kind(self) -> str:
        """What a kernel is called in reports, by what its code does."""
        names = {op.name for nest in self.nests for op in nest.code}
        reduces = any(any(nest.reduction) for nest in self.nests)
        optimizer = self.nests[0].optimizer
        if optimizer is not None:
            return "adam" if optimizer == 2 else "sgd"
        if reduces and "exp" in names:
            return "softmax"
        if reduces and "rsqrt" in names:
            return "norm"
        if reduces:
            return "reduction"
        if not names - {"constant"}:
            return "copy"
        return "elementwise"


@dataclass(slots=True, eq=False)
class SingleKernel:
    """An operation that is a kernel of its own: contraction, lookup, store."""

    op: GraphOp
    position: int


Kernel = VectorKernel | SingleKernel


def origin_of(kernel: Kernel) -> Origin:
    """Where a kernel comes from: its first operation's place."""
    return kernel.nests[0].origin if isinstance(kernel, VectorKernel) else kernel.op.origin


def form_kernels(graph: Graph, row_budget: int) -> list[Kernel]:
    """Groups the graph's nests and puts the kernels into an order that respects all uses.

    `row_budget` is the number of bytes that one row of all of a kernel's operands may take.
    """
    former = _Former(row_budget)
    for position, op in enumerate(graph.ops):
        former.add(op, position)
    return sorted(former.kernels, key=lambda kernel: kernel.position)


class _Former:
    def __init__(self, row_budget: int) -> None:
        self.kernels: list[Kernel] = []
        self._row_budget = row_budget
        self._writers: dict[int, list[Kernel]] = {}
        self._readers: dict[int, list[VectorKernel]] = {}

    def add(self, op: GraphOp, position: int) -> None:
        """Puts `op` into an open kernel, or into a new one."""
        home: Kernel | None = None
        if isinstance(op, LoopNest):
            merge_sums(op)
        if isinstance(op, LoopNest) and op.optimizer is None:
            home = self._join(op)
        if home is None:
            if isinstance(op, LoopNest):
                home = VectorKernel([op], leading_rows(op), position)
                home.closed = op.optimizer is not None
                home.summed = _sums(op, home.rows)
            else:
                home = SingleKernel(op, position)
            self.kernels.append(home)
        home.position = position
        self._close_others(op, home)
        for buffer in buffers_written(op):
            writers = self._writers.setdefault(id(buffer), [])
            if home not in writers:
                writers.append(home)
        if isinstance(home, VectorKernel):
            for buffer in buffers_read(op):
                self._readers.setdefault(id(buffer), []).append(home)

    def _close_others(self, op: GraphOp, home: Kernel) -> None:
        """Nobody may be added to a kernel once somebody else depends on where it stands."""
        for buffer in [*buffers_read(op), *buffers_written(op)]:
            for kernel in self._writers.get(id(buffer), ()):
                if kernel is not home and isinstance(kernel, VectorKernel):
                    kernel.closed = True
        for buffer in buffers_written(op):
            for kernel in self._readers.get(id(buffer), ()):
                if kernel is not home:
                    kernel.closed = True

    def _join(self, nest: LoopNest) -> VectorKernel | None:
        candidates: dict[int, VectorKernel] = {}
        for buffer in [*buffers_read(nest), *buffers_written(nest)]:
            for kernel in self._writers.get(id(buffer), ()):
                if isinstance(kernel, VectorKernel) and not kernel.closed:
                    candidates[id(kernel)] = kernel
        for kernel in sorted(candidates.values(), key=lambda k: -k.position):
            if self._try(kernel, nest):
                return kernel
        return None

    def _try(self, kernel: VectorKernel, nest: LoopNest) -> bool:
        if len(kernel.nests) >= MAX_NESTS:
            return False
        shared = []
        for buffer in [*buffers_read(nest), *buffers_written(nest)]:
            writers = self._writers.get(id(buffer), [])
            if kernel in writers:
                if len(writers) > 1 or id(buffer) in kernel.summed:
                    return False
                if buffer.kind == "argument":
                    return False
                shared.append(buffer)
        overwritten = [b for b in buffers_written(nest) if kernel in self._readers.get(id(b), [])]
        if any(lookup.buffer in overwritten for m in kernel.nests for lookup in m.lookups):
            return False
        shared += [buffer for buffer in overwritten if buffer not in shared]
        if any(lookup.buffer in shared for lookup in nest.lookups):
            return False
        members = [*kernel.nests, nest]
        for operand in [o for member in members for o in [*member.inputs, *member.outputs]]:
            if operand.indexed and operand.buffer in shared:
                return False  # rows that are looked up stay with no row
            if any(view.buffer in shared for view in operand.index if view is not None):
                return False
        rows = common_rows(kernel.nests, kernel.rows, nest, shared)
        if rows is None or self._row_bytes(members, rows) > self._row_budget:
            return False
        if not all(keeps_groups(member, rows) for member in members):
            return False
        for member in kernel.nests:
            split_leading(member, rows)
        split_leading(nest, rows)
        kernel.rows = rows
        kernel.nests.append(nest)
        kernel.summed |= _sums(nest, rows)
        return True

    def _row_bytes(self, nests: list[LoopNest], rows: tuple[int, ...]) -> int:
        sizes: dict[int, int] = {}
        count = math.prod(rows)
        for nest in nests:
            for operand in [*nest.inputs, *nest.outputs]:
                size = operand.buffer.bytes
                per_row = (
                    size // count if fits_rows(operand, rows) else min(size, _walked(nest, operand))
                )
                sizes[id(operand.buffer)] = max(sizes.get(id(operand.buffer), 0), per_row)
        return sum(sizes.values())


def covers(nests: Sequence[LoopNest], buffer: Buffer) -> bool:
    """Whether the nests write every element of a buffer."""
    written = np.zeros(0, bool)
    for nest in nests:
        for output in nest.outputs:
            if output.buffer is not buffer or output.indexed:
                continue
            moving = [(e, s) for e, s in zip(nest.extents, output.strides, strict=True) if s]
            if math.prod(extent for extent, _ in moving) == buffer.elements:
                return True
            if not written.size:
                written = np.zeros(buffer.elements, bool)
            extents, strides = zip(*moving, strict=True) if moving else ((), ())
            as_strided(written[output.offset :], extents, strides)[...] = True
    return bool(written.size) and bool(written.all())


def _walked(nest: LoopNest, operand: Operand) -> int:
    """Bytes of the elements that a nest touches of an operand."""
    extents = zip(nest.extents, operand.strides, strict=True)
    return 4 * math.prod(e for e, stride in extents if stride)


def _sums(nest: LoopNest, rows: tuple[int, ...]) -> set[int]:
    """Outputs of a nest that sums over its rows."""
    return {id(o.buffer) for o in nest.outputs if nest.accumulates(o, len(rows))}


def kernel_buffers(kernel: Kernel) -> tuple[list[Buffer], list[Buffer]]:
    """Buffers that a kernel reads from and writes to memory, its own values included."""
    ops: list[GraphOp] = list(kernel.nests) if isinstance(kernel, VectorKernel) else [kernel.op]
    read = {id(b): b for op in ops for b in buffers_read(op)}
    written = {id(b): b for op in ops for b in buffers_written(op)}
    return list(read.values()), list(written.values())
