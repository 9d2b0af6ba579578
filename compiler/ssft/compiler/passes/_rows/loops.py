"""Emits the loop over the rows of a group of nests (``cpu-fuse-rows``)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType

from ssft.compiler.passes import _build as build
from ssft.compiler.passes._rows.groups import Group, cell, used_only_by
from ssft.compiler.passes._rows.nests import Access, Task
from ssft.dialects._mlir import ir

ALIGNMENT = 64
"""Bytes; a cache line, and the width of the widest vector register."""

INDEPENDENT = "ssft.independent"
"""Of an ``scf.for`` whose iterations do not depend on each other: iterations of all inner loops."""

Number = int | ir.Value
"""Known when the program is compiled, or a value of type ``index``."""


class RowLoops:
    """Emits one row of each member of a group; rows are counted by `runs` of row loops."""

    def __init__(self, group: Group, limit: int, runs: list[list[int]] | None = None) -> None:
        self.group = group
        self.limit = limit
        self.scratch: dict[ir.Value, tuple[int, ir.Value, Number]] = {}
        """Of buffers that are not there as a whole: the byte that comes first in a row, and the
        array and the element of it where the row at hand begins."""
        self.runs = runs or _runs(group)
        self.columns: dict[int, int] = {}
        """The loop of each task, by its position, that runs over a window of columns only."""
        self.window: tuple[Number, Number] = 0, 0
        """The first of these columns, and how many there are."""

    @property
    def trips(self) -> list[int]:
        """How many iterations each run of row loops has."""
        sizes = self.group.row_sizes()
        return [math.prod(sizes[number] for number in run) for run in self.runs]

    @property
    def work(self) -> int:
        """Iterations of all loops of all members."""
        return sum(math.prod(task.sizes) for task in self.group.members)

    def emit(self) -> None:
        """Emits the loop, whose body does one row of each member in turn."""
        trips = self.trips
        with for_loop(0, math.prod(trips), work=self.work) as number:
            self.allocate()
            self.emit_row(delinearized(number, trips))

    def allocate(self) -> None:
        """Gives buffers that only this group uses one row of scratch, as long as there is space."""
        wanted = []
        members = {task.op for task in self.group.members}
        for root, entries in self.group.shared().items():
            if used_only_by(root, members):
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
            self.scratch[root] = low, array.result, 0

    def emit_row(self, row: Sequence[Number]) -> None:
        """Clones the operation of each member without its row loops, on one row of its operands."""
        for task in self.group.members:
            with task.op.location:
                self._emit_row(task, row)

    def _emit_row(self, task: Task, row: Sequence[Number]) -> None:
        rows = self.group.row_loops(task)
        inner = [loop for loop in range(len(task.sizes)) if loop not in rows]
        place = {loop: number for number, loop in enumerate(inner)}
        kept = [[loop for loop in loops if loop in place] for loops in task.maps]
        views = {
            access.operand: self.view(task, access, kept[access.operand], row)
            for access in task.accesses
            if access.operand >= 0
        }
        op = clone_on(task.op, views)
        if op.name != "linalg.generic":
            return
        set_loops(op, task, inner, kept)
        starts = {rows[run[0]]: at for run, at in zip(self.runs, row, strict=True)}
        if task.position in self.columns:
            starts[self.columns[task.position]] = self.window[0]
        _renumber_indices(op, task, place, starts)

    def view(
        self, task: Task, access: Access, loops: Sequence[int], row: Sequence[Number]
    ) -> ir.Value:
        """One row of what `access` touches, as a memref over `loops`."""
        assert access.strides is not None
        low, base, offset = self.scratch.get(access.root, (0, access.root, 0))
        offset = plus(offset, (access.offset - low) // access.item)
        if access.root not in self.scratch:
            rows = self.group.row_loops(task)
            for run, value in zip(self.runs, row, strict=True):
                step = access.strides.get(rows[run[-1]], 0) // access.item
                offset = plus(offset, times(value, step))
        sizes: list[Number] = [task.sizes[loop] for loop in loops]
        column = self.columns.get(task.position)
        if column is not None and column in loops:
            start, sizes[loops.index(column)] = self.window
            offset = plus(offset, times(start, access.strides[column] // access.item))
        strides = [access.strides[loop] // access.item for loop in loops]
        return reinterpret(base, offset, sizes, strides)


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


def clone_on(op: ir.Operation, operands: dict[int, ir.Value]) -> ir.Operation:
    """Clones `op` with other operands, given by their numbers."""
    clone = op.clone()
    for number, value in operands.items():
        clone.operands[number] = value
    return clone


def set_loops(op: ir.Operation, task: Task, loops: Sequence[int], maps: list[list[int]]) -> None:
    """Makes a clone of the ``linalg.generic`` of `task` run over `loops` of it alone."""
    kinds = ["parallel" if task.parallel[loop] else "reduction" for loop in loops]
    op.attributes["iterator_types"] = ir.ArrayAttr.get(
        [ir.Attribute.parse(f"#linalg.iterator_type<{kind}>") for kind in kinds]
    )
    place = {loop: number for number, loop in enumerate(loops)}
    projections = [
        ir.AffineMap.get(len(loops), 0, [ir.AffineDimExpr.get(place[loop]) for loop in kept])
        for kept in maps
    ]
    attributes = [ir.AffineMapAttr.get(projection) for projection in projections]
    op.attributes["indexing_maps"] = ir.ArrayAttr.get(attributes)


def _renumber_indices(
    op: ir.Operation, task: Task, place: dict[int, int], starts: Mapping[int, Number]
) -> None:
    """Counts loops in the body of `op` from `starts`; those in `place` are its own loops."""
    for inner in list(op.regions[0].blocks[0].operations):
        index = inner.operation
        if index.name != "linalg.index":
            continue
        loop = task.origins.index(ir.IntegerAttr(index.attributes["dim"]).value)
        with ir.InsertionPoint(index):
            count = starts.get(loop, 0)
            if loop in place:
                count = plus(loop_index(place[loop]), count)
            index.results[0].replace_all_uses_with(as_value(count))
        index.erase()


def loop_index(number: int) -> ir.Value:
    """``linalg.index``: the counter of a loop, in the body of an operation."""
    dim = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), number)
    return build.op("linalg.index", [ir.IndexType.get()], dim=dim).result


@contextmanager
def for_loop(
    low: Number, high: Number, work: int = 0, notes: Mapping[str, int] = MappingProxyType({})
) -> Iterator[ir.Value]:
    """``scf.for`` from `low` to `high`; gives its counter, and what is built is its body.

    With `work`, the iterations of all loops inside, its own are marked independent; `notes` are
    further attributes.
    """
    i64 = ir.IntegerType.get_signless(64)
    numbers = {**notes, **({INDEPENDENT: work} if work else {})}
    marks = {name: ir.IntegerAttr.get(i64, number) for name, number in numbers.items()}
    bounds = [as_value(low), as_value(high), build.index(1)]
    loop = build.op("scf.for", [], bounds, regions=1, **marks)
    block = loop.regions[0].blocks.append(ir.IndexType.get(), arg_locs=[loop.location])
    with ir.InsertionPoint(block):
        yield block.arguments[0]
        build.op("scf.yield", [])


def delinearized(value: ir.Value, sizes: Sequence[int]) -> list[ir.Value]:
    """The counters of loops of `sizes` iterations, from the number of an iteration of them all."""
    counters: list[ir.Value] = []
    for size in reversed(sizes[1:]):
        counters.append(binary("arith.remui", value, size))
        value = binary("arith.divui", value, size)
    return [value, *reversed(counters)]


def binary(name: str, left: ir.Value, right: Number) -> ir.Value:
    """An operation of ``arith`` on two indices."""
    return build.op(name, [left.type], [left, as_value(right)]).result


def as_value(number: Number) -> ir.Value:
    """`number` as a value."""
    return build.index(number) if isinstance(number, int) else number


def times(value: Number, factor: int) -> Number:
    """The product."""
    if isinstance(value, int) or factor == 0:
        return value * factor if isinstance(value, int) else 0
    return value if factor == 1 else binary("arith.muli", value, factor)


def plus(value: Number, other: Number) -> Number:
    """The sum."""
    if isinstance(value, int):
        value, other = other, value
    if isinstance(value, int):
        assert isinstance(other, int)
        return value + other
    if isinstance(other, int) and other == 0:
        return value
    return binary("arith.addi", value, other)


def reinterpret(
    base: ir.Value, offset: Number, sizes: Sequence[Number], strides: Sequence[int]
) -> ir.Value:
    """``memref.reinterpret_cast`` of `base`; `offset` and `strides` count elements."""
    start = offset if isinstance(offset, int) else ir.ShapedType.get_dynamic_stride_or_offset()
    layout = ir.StridedLayoutAttr.get(start, list(strides))
    element = ir.MemRefType(base.type).element_type
    unknown = ir.ShapedType.get_dynamic_size()
    shape = [size if isinstance(size, int) else unknown for size in sizes]
    offsets = [] if isinstance(offset, int) else [offset]
    extents = [size for size in sizes if not isinstance(size, int)]
    return build.op(
        "memref.reinterpret_cast",
        [ir.MemRefType.get(shape, element, layout)],
        [base, *offsets, *extents],
        static_offsets=ir.DenseI64ArrayAttr.get([start]),
        static_sizes=ir.DenseI64ArrayAttr.get(shape),
        static_strides=ir.DenseI64ArrayAttr.get(list(strides)),
        operandSegmentSizes=ir.DenseI32ArrayAttr.get([1, len(offsets), len(extents), 0]),
    ).result
