"""``cpu-fuse-rows``: run loop nests that hand values on row by row, one row after another.

A softmax, a norm, a rotary embedding or a cross-entropy is a handful of nests, each of which walks
through all of an array that is larger than the caches. Here nests that can share their outer loops
become the body of one loop over these *rows* (`ssft.compiler.passes._row_groups` says when they
can). What one nest writes and only others of the same row read becomes a scratch array of one row.

The loops over rows are marked ``ssft.independent``: their iterations may run in any order and on
several threads. The number is that of the iterations of all loops inside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from ssft.compiler.analysis.step import find_step, owner, terminator
from ssft.compiler.passes import _build as build
from ssft.compiler.passes._nests import (
    VIEWS,
    Access,
    Task,
    is_static_view,
    refine,
    tasks_of,
)
from ssft.compiler.passes._row_groups import Group, cell, form_groups
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir

ALIGNMENT = 64
"""Bytes; a cache line, and the width of the widest vector register."""

INDEPENDENT = "ssft.independent"
"""Of an ``scf.for`` whose iterations do not depend on each other: iterations of all inner loops."""


@dataclass(frozen=True)
class CpuFuseRowsPass(Pass):
    """Groups the operations of the bufferized ``@step``, and makes one loop of each group."""

    argument: ClassVar[str] = "cpu-fuse-rows"

    scratch: int = field(
        default=512 << 10,
        metadata={"help": "bytes of scratch arrays that one loop may have on its thread's stack"},
    )

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites ``@step``, whose operations are on memrefs with static layouts."""
        step = find_step(module)
        block = step.regions[0].blocks[0]
        tasks = tasks_of(block)
        if tasks is None:
            return
        refine(tasks)
        groups = form_groups(tasks)
        if all(len(group.members) == 1 for group in groups):
            return
        end = terminator(step)
        _hoist(block, {task.op for task in tasks})
        with module.context:
            for group in groups:
                if len(group.members) == 1:
                    group.members[0].op.move_before(end)
                    continue
                with ir.InsertionPoint(end), end.location:
                    _Rows(group, self.scratch).emit()
                context.statistics["loops over rows"] += 1
                context.statistics["nests fused"] += len(group.members)
        for group in groups:
            if len(group.members) > 1:
                for task in group.members:
                    task.op.erase()


def _hoist(block: ir.Block, tasks: set[ir.Operation]) -> None:
    """Moves everything that only names memory in front of the first of `tasks`."""
    operations = [op.operation for op in block.operations]
    first = next(op for op in operations if op in tasks)
    for op in operations[:-1]:
        if op not in tasks:
            op.move_before(first)


class _Rows:
    """Emits the loop over the rows of one group at the current insertion point."""

    def __init__(self, group: Group, limit: int) -> None:
        self.group = group
        self.limit = limit
        self.scratch: dict[ir.Value, tuple[int, ir.Value]] = {}
        self.runs = _runs(group)

    def emit(self) -> None:
        """Emits the loop, whose body does one row of each member in turn."""
        sizes = self.group.row_sizes()
        trips = [math.prod(sizes[number] for number in run) for run in self.runs]
        bounds = [build.index(0), build.index(math.prod(trips)), build.index(1)]
        i64 = ir.IntegerType.get_signless(64)
        work = ir.IntegerAttr.get(i64, sum(math.prod(t.sizes) for t in self.group.members))
        loop = build.op("scf.for", [], bounds, regions=1, **{INDEPENDENT: work})
        block = loop.regions[0].blocks.append(ir.IndexType.get(), arg_locs=[loop.location])
        with ir.InsertionPoint(block):
            self._allocate()
            row = _delinearized(block.arguments[0], trips)
            for task in self.group.members:
                with task.op.location:
                    self._emit_row(task, row)
            build.op("scf.yield", [])

    def _allocate(self) -> None:
        """Gives buffers that only this group uses one row of scratch, as long as there is space."""
        wanted = []
        for root, entries in self.group.shared().items():
            if _used_only_by(root, self.group):
                low, high = cell(self.group, entries)
                wanted.append((high - low, low, entries[0][1].item, root))
        left = self.limit
        for size, low, item, root in sorted(wanted, key=lambda entry: entry[0]):
            if size > left:
                break
            left -= size
            element = ir.MemRefType(root.type).element_type
            type_ = ir.MemRefType.get([size // item], element)
            alignment = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), ALIGNMENT)
            segments = ir.DenseI32ArrayAttr.get([0, 0])
            array = build.op(
                "memref.alloca", [type_], alignment=alignment, operandSegmentSizes=segments
            )
            self.scratch[root] = low, array.result

    def _emit_row(self, task: Task, row: list[ir.Value]) -> None:
        """Clones the operation of `task` without its row loops, on one row of each operand."""
        rows = self.group.row_loops(task)
        inner = [loop for loop in range(len(task.sizes)) if loop not in rows]
        place = {loop: number for number, loop in enumerate(inner)}
        kept = [[loop for loop in loops if loop in place] for loops in task.maps]
        views = {
            access.operand: self._view(task, access, kept[access.operand], row)
            for access in task.accesses
            if access.operand >= 0
        }
        op = task.op.clone()
        for number, view in views.items():
            op.operands[number] = view
        if op.name != "linalg.generic":
            return
        kinds = ["parallel" if task.parallel[loop] else "reduction" for loop in inner]
        op.attributes["iterator_types"] = ir.ArrayAttr.get(
            [ir.Attribute.parse(f"#linalg.iterator_type<{kind}>") for kind in kinds]
        )
        projections = [
            ir.AffineMap.get(len(inner), 0, [ir.AffineDimExpr.get(place[loop]) for loop in loops])
            for loops in kept
        ]
        attributes = [ir.AffineMapAttr.get(projection) for projection in projections]
        op.attributes["indexing_maps"] = ir.ArrayAttr.get(attributes)
        starts = {rows[run[0]]: value for run, value in zip(self.runs, row, strict=True)}
        _renumber_indices(op, task, place, starts)

    def _view(self, task: Task, access: Access, loops: list[int], row: list[ir.Value]) -> ir.Value:
        """One row of what `access` touches, as a memref over `loops`."""
        assert access.strides is not None
        low, base = self.scratch.get(access.root, (0, access.root))
        offset: int | ir.Value = (access.offset - low) // access.item
        if access.root not in self.scratch:
            rows = self.group.row_loops(task)
            for run, value in zip(self.runs, row, strict=True):
                step = access.strides.get(rows[run[-1]], 0) // access.item
                if step:
                    offset = _plus(_times(value, step), offset)
        sizes = [task.sizes[loop] for loop in loops]
        strides = [access.strides[loop] // access.item for loop in loops]
        return _reinterpret(base, offset, sizes, strides)


def _runs(group: Group) -> list[list[int]]:
    """The row loops as few loops: neighbours that nest in all buffers are counted as one."""
    sizes = group.row_sizes()
    indexed = {
        number
        for task in group.members
        for number, loop in enumerate(group.row_loops(task))
        if loop in task.indexed()
    }
    runs = [[0]]
    for number in range(1, len(sizes)):
        nests = number not in indexed and number - 1 not in indexed
        for task in group.members:
            loops = group.row_loops(task)
            for access in task.accesses:
                steps = access.strides or {}
                major, minor = steps.get(loops[number - 1], 0), steps.get(loops[number], 0)
                nests = nests and major == minor * sizes[number]
        if nests:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs


def _renumber_indices(
    op: ir.Operation, task: Task, place: dict[int, int], starts: dict[int, ir.Value]
) -> None:
    """Takes counters of row loops from `starts` in the body of `op`; renumbers the others."""
    for inner in list(op.regions[0].blocks[0].operations):
        index = inner.operation
        if index.name != "linalg.index":
            continue
        old = ir.IntegerAttr(index.attributes["dim"])
        loop = task.origins.index(old.value)
        if loop in place:
            index.attributes["dim"] = ir.IntegerAttr.get(old.type, place[loop])
        else:
            index.results[0].replace_all_uses_with(starts[loop])
            index.erase()


def _used_only_by(root: ir.Value, group: Group) -> bool:
    """Whether `root` is an allocation that no operation but the members of `group` uses."""
    producer = owner(root)
    if producer is None or producer.name != "memref.alloc":
        return False
    members = {task.op for task in group.members}
    open_ = [root]
    while open_:
        for use in open_.pop().uses:
            user = use.owner.operation
            if user.name in VIEWS and is_static_view(user):
                open_.append(user.results[0])
            elif user not in members:
                return False
    return True


def _delinearized(value: ir.Value, sizes: list[int]) -> list[ir.Value]:
    """The counters of loops of `sizes` iterations, from the number of an iteration of them all."""
    counters: list[ir.Value] = []
    for size in reversed(sizes[1:]):
        count = build.index(size)
        index = [ir.IndexType.get()]
        counters.append(build.op("arith.remui", index, [value, count]).result)
        value = build.op("arith.divui", index, [value, count]).result
    return [value, *reversed(counters)]


def _times(value: ir.Value, factor: int) -> ir.Value:
    if factor == 1:
        return value
    return build.op("arith.muli", [value.type], [value, build.index(factor)]).result


def _plus(value: ir.Value, other: int | ir.Value) -> ir.Value:
    if isinstance(other, int):
        if other == 0:
            return value
        other = build.index(other)
    return build.op("arith.addi", [value.type], [value, other]).result


def _reinterpret(
    base: ir.Value, offset: int | ir.Value, sizes: list[int], strides: list[int]
) -> ir.Value:
    """``memref.reinterpret_cast`` of `base`; `offset` and `strides` count elements."""
    dynamic = [] if isinstance(offset, int) else [offset]
    start = offset if isinstance(offset, int) else ir.ShapedType.get_dynamic_stride_or_offset()
    layout = ir.StridedLayoutAttr.get(start, strides)
    element = ir.MemRefType(base.type).element_type
    type_ = ir.MemRefType.get(sizes, element, layout)
    return build.op(
        "memref.reinterpret_cast",
        [type_],
        [base, *dynamic],
        static_offsets=ir.DenseI64ArrayAttr.get([start]),
        static_sizes=ir.DenseI64ArrayAttr.get(sizes),
        static_strides=ir.DenseI64ArrayAttr.get(strides),
        operandSegmentSizes=ir.DenseI32ArrayAttr.get([1, len(dynamic), 0, 0]),
    ).result
