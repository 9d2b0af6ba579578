"""Emits what finds out at run time which columns of a block a mask leaves (``cpu-fuse-rows``)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ssft.compiler.analysis.step import owner
from ssft.compiler.passes import _build as build
from ssft.compiler.passes._rows.dead_columns import Mask
from ssft.compiler.passes._rows.loops import (
    Number,
    RowLoops,
    as_value,
    binary,
    loop_index,
    reinterpret,
)
from ssft.dialects._mlir import ir


class LiveColumns:
    """The first and the last column that the mask leaves in any row of a block.

    Created where both begin as if there were none; then `emit_row` takes a row into account, and
    `chunks` gives the result.
    """

    def __init__(self, mask: Mask, rows: RowLoops) -> None:
        self.mask, self.rows = mask, rows
        task = mask.task
        self.loops = [
            loop for loop in range(len(task.sizes)) if loop not in rows.group.row_loops(task)
        ]
        self.i32 = ir.IntegerType.get_signless(32)
        self.first, self.last = self._cell(mask.size), self._cell(-1)

    def _cell(self, value: int) -> ir.Value:
        """Memory for a number, which is `value` at the beginning."""
        segments = ir.DenseI32ArrayAttr.get([0, 0])
        type_ = ir.MemRefType.get([1], self.i32)
        cell = build.op("memref.alloca", [type_], operandSegmentSizes=segments).result
        build.op("memref.store", [], [self._number(value), cell, build.index(0)])
        return cell

    def _number(self, value: int) -> ir.Value:
        attribute = ir.IntegerAttr.get(self.i32, value)
        return build.op("arith.constant", [self.i32], value=attribute).result

    def emit_row(self, row: Sequence[Number]) -> None:
        """Emits a reduction over the columns of a row."""
        task = self.mask.task
        needed = self._needed()
        kept = {n: [loop for loop in task.maps[n] if loop in self.loops] for n in needed}
        views = [
            self.rows.view(task, access, kept[access.operand], row)
            for number in needed
            for access in task.accesses
            if access.operand == number
        ]
        outputs = [reinterpret(cell, 0, [], []) for cell in (self.first, self.last)]
        place = {loop: number for number, loop in enumerate(self.loops)}
        count = len(self.loops)
        maps = [
            ir.AffineMap.get(count, 0, [ir.AffineDimExpr.get(place[loop]) for loop in kept[number]])
            for number in needed
        ]
        maps += [ir.AffineMap.get(count, 0, [])] * 2
        reduction = ir.Attribute.parse("#linalg.iterator_type<reduction>")
        rows = self.rows.group.row_loops(task)
        counters = {rows[run[0]]: at for run, at in zip(self.rows.runs, row, strict=True)}

        def body(*arguments: ir.Value) -> Sequence[ir.Value]:
            block = task.op.regions[0].blocks[0]
            known: dict[ir.Value, ir.Value] = {}
            known.update(zip((block.arguments[n] for n in needed), arguments, strict=False))
            return self._combine(_Copier(known, task.origins, place, counters), *arguments[-2:])

        operation = build.op(
            "linalg.generic",
            [],
            [*views, *outputs],
            regions=1,
            operandSegmentSizes=ir.DenseI32ArrayAttr.get([len(views), 2]),
            indexing_maps=ir.ArrayAttr.get([ir.AffineMapAttr.get(map_) for map_ in maps]),
            iterator_types=ir.ArrayAttr.get([reduction] * count),
        )
        elements = [ir.MemRefType(value.type).element_type for value in operation.operands]
        where = [ir.Location.current] * len(elements)
        inside = operation.regions[0].blocks.append(*elements, arg_locs=where)
        with ir.InsertionPoint(inside):
            build.op("linalg.yield", [], body(*inside.arguments))

    def _needed(self) -> list[int]:
        """The operands of the masking operation that say where the mask is.

        The masked one is there for its shape.
        """
        wanted = [self.mask.test]
        if self.mask.condition is not None:
            wanted.append(self.mask.condition[0])
        arguments = list(self.mask.task.op.regions[0].blocks[0].arguments)
        found = {n for value in wanted for n in _arguments(value, arguments)}
        return sorted({self.mask.operand, *found})

    def _combine(self, copier: _Copier, first: ir.Value, last: ir.Value) -> Sequence[ir.Value]:
        """First and last column, with the column at hand taken into account."""
        test = copier.copy(self.mask.test)
        i1 = ir.IntegerType.get_signless(1)
        lowest = ir.FloatAttr.get(test.type, -math.inf)
        constant = build.op("arith.constant", [test.type], value=lowest).result
        equal = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), 1)
        dead = build.op("arith.cmpf", [i1], [test, constant], predicate=equal).result
        if self.mask.condition is not None:
            condition, polarity = self.mask.condition
            holds = copier.copy(condition)
            if not polarity:
                true = build.op("arith.constant", [i1], value=ir.IntegerAttr.get(i1, 1)).result
                holds = binary("arith.xori", holds, true)
            dead = binary("arith.andi", dead, holds)
        column = self.loops.index(self.mask.columns[self.mask.task.position])
        number = build.op("arith.index_cast", [self.i32], [loop_index(column)]).result
        found = []
        # What a dead column counts as is a constant, so that the loop can be vectorized.
        for name, bound, none in (
            ("arith.minsi", first, self.mask.size),
            ("arith.maxsi", last, -1),
        ):
            choice = [dead, self._number(none), number]
            taken = build.op("arith.select", [self.i32], choice).result
            found.append(binary(name, bound, taken))
        return found

    def chunks(self) -> tuple[ir.Value, ir.Value]:
        """The first chunk with such a column, and the one past the last; at least one.

        A row of which nothing is left is what it would be if all of it were computed.
        """
        width, index = self.mask.chunk, ir.IndexType.get()
        numbers = []
        for cell in (self.first, self.last):
            loaded = build.op("memref.load", [self.i32], [cell, build.index(0)]).result
            numbers.append(build.op("arith.index_cast", [index], [loaded]).result)
        start = binary("arith.minsi", numbers[0], self.mask.size - 1)
        low = binary("arith.divui", start, width)
        end = binary("arith.divui", binary("arith.addi", numbers[1], width), width)
        return low, binary("arith.maxsi", end, binary("arith.addi", low, 1))


class _Copier:
    """Copies what computes a value in one body into another."""

    def __init__(
        self,
        known: dict[ir.Value, ir.Value],
        origins: Sequence[int],
        place: dict[int, int],
        counters: dict[int, Number],
    ) -> None:
        self.known, self.origins = known, origins
        self.place, self.counters = place, counters

    def copy(self, value: ir.Value) -> ir.Value:
        """The copy of `value`; what is defined outside of the body stays as it is."""
        if value in self.known:
            return self.known[value]
        producer = owner(value)
        parent = producer.parent if producer is not None else None
        if producer is None or parent is None or parent.name != "linalg.generic":
            return value
        if producer.name == "linalg.index":
            loop = self.origins.index(ir.IntegerAttr(producer.attributes["dim"]).value)
            inner = loop in self.place
            made = loop_index(self.place[loop]) if inner else as_value(self.counters[loop])
        else:
            operands = [self.copy(operand) for operand in producer.operands]
            clone = producer.clone()
            for number, operand in enumerate(operands):
                clone.operands[number] = operand
            made = clone.results[0]
        self.known[value] = made
        return made


def _arguments(value: ir.Value, arguments: Sequence[ir.Value]) -> set[int]:
    """The numbers of the `arguments` that `value` depends on."""
    if value in arguments:
        return {list(arguments).index(value)}
    producer = owner(value)
    if producer is None:
        return set()
    return {n for operand in producer.operands for n in _arguments(operand, arguments)}
