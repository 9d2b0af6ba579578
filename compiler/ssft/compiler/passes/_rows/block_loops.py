"""Emits rows and the matrix products around them block by block (``cpu-fuse-rows``)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ssft.compiler.passes import _build as build
from ssft.compiler.passes._rows.blocks import Blocks
from ssft.compiler.passes._rows.dead_columns import find_mask
from ssft.compiler.passes._rows.live_columns import LiveColumns
from ssft.compiler.passes._rows.loops import (
    ALIGNMENT,
    Number,
    RowLoops,
    as_value,
    binary,
    clone_on,
    delinearized,
    for_loop,
    plus,
    reinterpret,
    set_loops,
    times,
)
from ssft.compiler.passes._rows.nests import Access, Task
from ssft.dialects._mlir import ir

PRODUCTS = "ssft.products"
"""Of an ``scf.for`` with matrix products inside: their multiply-adds, if no mask saves any."""

Chunks = tuple[ir.Value, ir.Value]
"""The first chunk of columns that is needed, and the one past the last."""


class BlockLoops:
    """Emits the loops over the blocks of one group at the current insertion point.

    The outermost loop has one iteration for each thread, each with a block of scratch of its own.
    """

    def __init__(self, blocks: Blocks, limit: int, threads: int) -> None:
        self.blocks = blocks
        self.size = blocks.size
        sizes = blocks.core.row_sizes()
        self.batch = sizes[: blocks.blocked]
        self.count, self.rest = divmod(sizes[blocks.blocked], self.size)
        shared = math.prod(self.batch) * (1 if blocks.sums else self.count)
        self.parts = min(threads, shared)
        self.rows = RowLoops(blocks.core, limit, [[number] for number in range(len(sizes))])
        self.mask = find_mask(blocks)
        self.arrays: dict[ir.Value, tuple[ir.Value, Number]] = {}
        """Of each buffer in `Blocks.scratch`: an array, and the element where this part begins."""

    def emit(self) -> None:
        """Emits everything."""
        shared = self.blocks.shared_with
        arrays = {root: self._array(root) for root in self.blocks.scratch if root not in shared}
        arrays |= {root: arrays[other] for root, other in shared.items()}
        products = [*self.blocks.makers, *self.blocks.users]
        multiplications = sum(math.prod(task.sizes) for task in products)
        work = self.rows.work + multiplications
        with for_loop(0, self.parts, work, {PRODUCTS: multiplications}) as part:
            self.rows.allocate()
            for root, array in arrays.items():
                self.arrays[root] = array, times(part, self._elements(root) * self.size)
            if self.blocks.sums:
                with self._share(part, self.batch) as batch:
                    with for_loop(0, self.count) as block:
                        self._block(batch, times(block, self.size), self.size)
                    self._last_block(batch)
                return
            with self._share(part, [*self.batch, self.count]) as (*batch, block):
                self._block(batch, times(block, self.size), self.size)
            if self.rest:
                with self._share(part, self.batch) as batch:
                    self._last_block(batch)

    @contextmanager
    def _share(self, part: ir.Value, sizes: Sequence[int]) -> Iterator[list[ir.Value]]:
        """Gives the counters of loops of `sizes` iterations, of which a part runs one share."""
        total = math.prod(sizes)
        low, high = (
            binary("arith.divui", as_value(times(at, total)), self.parts)
            for at in (part, plus(part, 1))
        )
        with for_loop(low, high) as item:
            yield delinearized(item, sizes) if sizes else []

    def _last_block(self, batch: Sequence[ir.Value]) -> None:
        if self.rest:
            self._block(batch, self.count * self.size, self.rest)

    def _array(self, root: ir.Value) -> ir.Value:
        """Scratch for the blocks of `root` in all parts."""
        element = ir.MemRefType(root.type).element_type
        type_ = ir.MemRefType.get([self.parts * self.size * self._elements(root)], element)
        alignment = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), ALIGNMENT)
        segments = ir.DenseI32ArrayAttr.get([0, 0])
        return build.op(
            "memref.alloc", [type_], alignment=alignment, operandSegmentSizes=segments
        ).result

    def _elements(self, root: ir.Value) -> int:
        """How many elements rows in a block of `root` are apart."""
        return self.blocks.pitch(root) // self._item(root)

    def _item(self, root: ir.Value) -> int:
        accesses = (access for task in self.blocks.members for access in task.accesses)
        return next(access.item for access in accesses if access.root == root)

    def _block(self, batch: Sequence[ir.Value], first: Number, size: int) -> None:
        """Emits what is done for one block, of `size` rows from `first` on."""
        sizes = self.blocks.core.row_sizes()
        rest: list[Number] = [0] * (len(sizes) - len(batch) - 1)

        def counters(row: Number) -> list[Number]:
            return [*batch, plus(first, row), *rest]

        chunks = self._live_chunks(counters, size)
        for task in self.blocks.makers:
            self._product(task, batch, (first, size), chunks)
        with for_loop(0, size) as row:
            self._begin_row(row)
            self.rows.emit_row(counters(row))
        for task in self.blocks.users:
            self._product(task, batch, (first, size), chunks)

    def _begin_row(self, row: ir.Value) -> None:
        """Makes `rows` take scratch from one row of the block."""
        for root, (array, start) in self.arrays.items():
            low = self.blocks.scratch[root][0]
            self.rows.scratch[root] = low, array, plus(start, times(row, self._elements(root)))

    def _live_chunks(self, counters: Callable[[Number], list[Number]], size: int) -> Chunks | None:
        """Emits what finds the columns that a mask leaves; None if there is no mask."""
        if self.mask is None:
            return None
        self.rows.columns = {}
        finder = LiveColumns(self.mask, self.rows)
        with for_loop(0, size) as row:
            self._begin_row(row)
            finder.emit_row(counters(row))
        low, high = finder.chunks()
        self.rows.columns = self.mask.columns
        width = self.mask.chunk
        self.rows.window = times(low, width), times(binary("arith.subi", high, low), width)
        return low, high

    def _product(
        self,
        task: Task,
        batch: Sequence[ir.Value],
        block: tuple[Number, int],
        chunks: Chunks | None,
    ) -> None:
        """Emits a product, and what fills its result, on one block of its rows."""
        rows = self.blocks.rows_of[task.position]
        place = _Place(
            {loop: at for loop, at in zip(rows, batch, strict=False) if loop >= 0},
            rows[self.blocks.blocked],
            *block,
        )
        fill = self.blocks.fills.get(task.position)
        column = self.mask.columns.get(task.position) if self.mask else None
        with task.op.location:
            if self.mask is None or chunks is None or column is None:
                self._multiply(task, place, fill)
                return
            place.column = column
            if fill and not (task.accesses[-1].strides or {}).get(column):
                self._fill(task, place, fill)  # all chunks add to it
                fill = None
            with for_loop(*chunks) as chunk:
                place.start = times(chunk, self.mask.chunk)
                self._multiply(task, place, fill)

    def _fill(self, task: Task, place: _Place, fill: Task) -> None:
        _fill(fill.op, self._view(task, task.accesses[-1], place))

    def _multiply(self, task: Task, place: _Place, fill: Task | None) -> None:
        views = {access.operand: self._view(task, access, place) for access in task.accesses}
        if fill:
            _fill(fill.op, views[len(task.maps) - 1])
        loops = [loop for loop in range(len(task.sizes)) if loop not in place.fixed]
        maps = [[loop for loop in operand if loop not in place.fixed] for operand in task.maps]
        set_loops(clone_on(task.op, views), task, loops, maps)

    def _view(self, task: Task, access: Access, place: _Place) -> ir.Value:
        """One block of what `access` touches, as a memref."""
        assert access.strides is not None
        loops = [loop for loop in task.maps[access.operand] if loop not in place.fixed]
        steps = {loop: step // access.item for loop, step in access.strides.items()}
        if access.root in self.arrays:
            base, offset = self.arrays[access.root]
            low = self.blocks.scratch[access.root][0]
            offset = plus(offset, (access.offset - low) // access.item)
            steps[place.along] = self._elements(access.root)
        else:
            base, offset = access.root, access.offset // access.item
            for loop, at in [*place.fixed.items(), (place.along, place.first)]:
                offset = plus(offset, times(at, steps.get(loop, 0)))
        sizes: list[Number] = [task.sizes[loop] for loop in loops]
        if place.along in loops:
            sizes[loops.index(place.along)] = place.size
        if self.mask and place.column in loops:
            sizes[loops.index(place.column)] = self.mask.chunk
            offset = plus(offset, times(place.start, steps[place.column]))
        return reinterpret(base, offset, sizes, [steps[loop] for loop in loops])


@dataclass
class _Place:
    """Which part of a product: loops that are `fixed`, and `size` rows from `first` on.

    Rows are those of loop `along`. Of loop `column`, if not negative, only a chunk from `start` on.
    """

    fixed: dict[int, ir.Value]
    along: int
    first: Number
    size: int
    column: int = -1
    start: Number = 0


def _fill(op: ir.Operation, view: ir.Value) -> None:
    """Emits a fill of `view` with what `op` fills its output with."""
    rank = ir.MemRefType(view.type).rank
    output = len(op.operands) - 1
    clone = clone_on(op, {output: view})
    if op.name != "linalg.generic":
        return
    empty = ir.AffineMap.get(rank, 0, [])
    maps = [ir.AffineMapAttr.get(empty)] * output
    maps.append(ir.AffineMapAttr.get(ir.AffineMap.get_identity(rank)))
    clone.attributes["indexing_maps"] = ir.ArrayAttr.get(maps)
    parallel = ir.Attribute.parse("#linalg.iterator_type<parallel>")
    clone.attributes["iterator_types"] = ir.ArrayAttr.get([parallel] * rank)
