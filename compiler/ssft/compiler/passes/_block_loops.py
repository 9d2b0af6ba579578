"""Emits rows and the matrix products around them block by block (``cpu-fuse-rows``)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ssft.compiler.passes import _build as build
from ssft.compiler.passes._nests import Access, Task
from ssft.compiler.passes._product_blocks import Blocks
from ssft.compiler.passes._row_loops import (
    ALIGNMENT,
    Number,
    RowLoops,
    binary,
    clone_on,
    delinearized,
    for_loop,
    plus,
    reinterpret,
    set_loops,
    times,
)
from ssft.dialects._mlir import ir

BLOCKS = "ssft.blocks"
"""Of an ``scf.for`` with matrix products inside: how often each of them runs."""


class BlockLoops:
    """Emits the loops over the blocks of one group at the current insertion point.

    The outermost loop has one iteration for each thread, each with a block of scratch of its own.
    """

    def __init__(self, blocks: Blocks, limit: int, threads: int) -> None:
        self.blocks = blocks
        self.size = blocks.size
        sizes = blocks.core.row_sizes()
        self.batch = sizes[: blocks.blocked]
        self.count = sizes[blocks.blocked] // self.size
        self.items = self.batch if blocks.sums else [*self.batch, self.count]
        self.parts = min(threads, math.prod(self.items))
        self.rows = RowLoops(blocks.core, limit, [[number] for number in range(len(sizes))])
        self.arrays: dict[ir.Value, tuple[ir.Value, Number]] = {}
        """Of each buffer in `Blocks.scratch`: an array, and the element where this part begins."""

    def emit(self) -> None:
        """Emits everything."""
        arrays = {root: self._array(root) for root in self.blocks.scratch}
        products = [*self.blocks.makers, *self.blocks.users]
        work = self.rows.work + sum(math.prod(task.sizes) for task in products)
        total = math.prod(self.items)
        with for_loop(0, self.parts, work, {BLOCKS: math.prod(self.batch) * self.count}) as part:
            self.rows.allocate()
            for root, array in arrays.items():
                elements = self._elements(root) * self.size
                self.arrays[root] = array, times(part, elements)
            low = binary("arith.divui", _value(times(part, total)), self.parts)
            after = _value(plus(part, 1))
            high = binary("arith.divui", _value(times(after, total)), self.parts)
            with for_loop(low, high) as item:
                counters = delinearized(item, self.items) if self.items else []
                if self.blocks.sums:
                    with for_loop(0, self.count) as block:
                        self._block(counters, block)
                else:
                    self._block(counters[:-1], counters[-1])

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

    def _block(self, batch: Sequence[ir.Value], block: ir.Value) -> None:
        """Emits what is done for one block."""
        first = times(block, self.size)
        for task in self.blocks.makers:
            self._product(task, batch, first)
        sizes = self.blocks.core.row_sizes()
        with for_loop(0, self.size) as row:
            for root, (array, start) in self.arrays.items():
                low = self.blocks.scratch[root][0]
                at = plus(start, times(row, self._elements(root)))
                self.rows.scratch[root] = low, array, at
            rest: list[Number] = [0] * (len(sizes) - len(batch) - 1)
            self.rows.emit_row([*batch, plus(first, row), *rest])
        for task in self.blocks.users:
            self._product(task, batch, first)

    def _product(self, task: Task, batch: Sequence[ir.Value], first: Number) -> None:
        """Emits a product, and what fills its result, on one block of its rows."""
        rows = self.blocks.rows_of[task.position]
        fixed = {loop: at for loop, at in zip(rows, batch, strict=False) if loop >= 0}
        loops = [loop for loop in range(len(task.sizes)) if loop not in fixed]
        maps = [[loop for loop in operand if loop not in fixed] for operand in task.maps]
        along = rows[self.blocks.blocked]
        with task.op.location:
            views = {
                access.operand: self._view(task, access, maps[access.operand], fixed, along, first)
                for access in task.accesses
            }
            if fill := self.blocks.fills.get(task.position):
                _fill(fill.op, views[len(task.maps) - 1])
            set_loops(clone_on(task.op, views), task, loops, maps)

    def _view(
        self,
        task: Task,
        access: Access,
        loops: Sequence[int],
        fixed: dict[int, ir.Value],
        along: int,
        first: Number,
    ) -> ir.Value:
        """One block of what `access` touches, as a memref over `loops`."""
        assert access.strides is not None
        steps = {loop: step // access.item for loop, step in access.strides.items()}
        if access.root in self.arrays:
            base, offset = self.arrays[access.root]
            offset = plus(
                offset, (access.offset - self.blocks.scratch[access.root][0]) // access.item
            )
            steps[along] = self._elements(access.root)
        else:
            base, offset = access.root, access.offset // access.item
            for loop, at in [*fixed.items(), (along, first)]:
                offset = plus(offset, times(at, steps.get(loop, 0)))
        sizes = [self.size if loop == along else task.sizes[loop] for loop in loops]
        return reinterpret(base, offset, sizes, [steps[loop] for loop in loops])


def _value(number: Number) -> ir.Value:
    assert not isinstance(number, int)
    return number


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
