"""The commands of a contraction's tiles: loads, products, conversions, stores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ssft.compiler.backends.hw.emitter import Emitter
from ssft.compiler.backends.hw.tiles import cost
from ssft.compiler.backends.hw.tiles.boxes import Box, Walk
from ssft.compiler.backends.hw.tiles.pieces import Place, Ring, Whole, portions
from ssft.hwmodel.isa import (
    NO_LIST,
    Access,
    Contraction,
    Dim,
    DimKind,
    Gemm,
    MicroOp,
    MicroProgram,
    Nest,
    Queue,
    Slot,
    Vector,
)
from ssft.hwmodel.isa.dtypes import ELEMENT_BYTES, DType

if TYPE_CHECKING:
    from ssft.compiler.backends.hw.tiles.contraction import ContractionTiles, Operand


KINDS: tuple[DimKind, ...] = ("batch", "m", "n", "k")
"""Kinds of loops, in the order in which a tile's starts and sizes are listed."""

PART = 1 / 4
"""A tile that is loaded in parts is loaded in parts of this share of the other factor's tile."""

LEAST_PARTS, MOST_PARTS = 4, 64
"""In how many transfers a tile is loaded if not in one."""

LEAST_PART = 32
"""A part takes at least so many times as long as it takes to issue its command."""


class ContractionWriter:
    """Writes the tiles of one contraction."""

    def __init__(self, tiles: ContractionTiles, emitter: Emitter, addresses: Sequence[int]) -> None:
        self._tiles, self._emitter = tiles, emitter
        self._boxes = tiles.tiles_in_order()
        self._pieces = tiles.pieces(addresses)

    def write(self) -> None:
        """Writes all tiles, batch outermost, in the order that the search chose."""
        for box in self._boxes:
            for name, part in box.loads:
                self._load_part(name, part)
            a = self._operand("a", box)
            b = self._operand("b", box)
            c = self._result(box)
            self._multiply(box, a, b, c)
            if box.last:
                self._finish(box, c)

    def _load_part(self, name: str, part: Box) -> None:
        operand = self._tiles.operands[name]
        walk = self._tiles.tile(operand, part)
        self._emitter.load(operand.buffer, walk, self._pieces[name].place(walk)[1].address)

    def _operand(self, name: str, box: Box) -> Place:
        operand = self._tiles.operands[name]
        walk = self._tiles.tile(operand, box)
        if operand.resident:
            return self._resident(operand, walk)
        whole = walk if box.within is None else self._tiles.tile(operand, box.within)
        fresh, place = self._pieces[name].place(whole)
        if fresh:
            self._load(operand, place, box)
        return self._part(place, walk, ELEMENT_BYTES[operand.buffer.stored_as])

    def _load(self, operand: Operand, place: Place, box: Box) -> None:
        """Loads a tile; one that is much larger than the other factor's in parts.

        Otherwise tiles of the other one would have to wait for it, and the tensor unit for those.
        """
        element = ELEMENT_BYTES[operand.buffer.stored_as]
        other = self._tiles.operands["b" if operand.name == "a" else "a"]
        size = self._tiles.tile(other, box).elements * ELEMENT_BYTES[other.buffer.stored_as]
        cycles = float(cost.transfer_cycles(self._emitter.machine, place.bytes, place.bytes))
        longest = int(cycles / (LEAST_PART * self._emitter.machine.command.issue_cycles))
        count = min(int(place.bytes / (PART * size)), longest, MOST_PARTS)
        in_turn = isinstance(self._pieces[operand.name], Ring) and not other.resident
        if count < LEAST_PARTS or not in_turn:
            count = 1
        for start, part in portions(place.walk, count):
            self._emitter.load(operand.buffer, part, place.address + start * element)

    def _part(self, place: Place, walk: Walk, element: int) -> Place:
        """Where a strip of a tile is."""
        if walk == place.walk:
            return place
        return Whole(place.address, place.walk, element).place(walk)[1]

    def _resident(self, operand: Operand, walk: Walk) -> Place:
        element = ELEMENT_BYTES[operand.buffer.stored_as]
        address = self._emitter.spm[id(operand.buffer)] + walk.offset * element
        return Place(address, operand.walk.strides, walk.span * element, walk)

    def _result(self, box: Box) -> Place:
        """Where sums go; loads what they are added to."""
        operand = self._tiles.operands["c"]
        walk = self._tiles.tile(operand, box)
        if operand.resident and not self._tiles.wide_sums:
            return self._resident(operand, walk)
        pieces = self._pieces["sums" if self._tiles.wide_sums else "c"]
        whole = walk if box.within is None else self._tiles.tile(operand, box.within)
        fresh, place = pieces.place(whole)
        if box.within is not None:
            fresh, place = True, self._part(place, walk, ELEMENT_BYTES[self._sums])
        if isinstance(pieces, Whole) and not box.last:
            # Keeps products of parts of a slab in their order.
            place.around = pieces.region
        if self._tiles.wide_sums:
            return place
        if fresh and box.first and self._tiles.op.accumulate:
            self._emitter.load(operand.buffer, walk, place.address)
        return place

    @property
    def _sums(self) -> DType:
        """What the tensor unit writes."""
        return "f32" if self._tiles.wide_sums else self._tiles.operands["c"].buffer.stored_as

    def _multiply(self, box: Box, a: Place, b: Place, c: Place) -> None:
        tiles, emitter = self._tiles, self._emitter
        machine = emitter.machine
        operands = tiles.operands
        c_dtype = self._sums
        dims = tuple(
            Dim(dim.kind, size, *(p.strides[d] for p in (a, b, c)))
            for d, (dim, size) in enumerate(zip(tiles.dims, box.sizes, strict=True))
        )
        extents = {
            kind: math.prod(dim.extent for dim in dims if dim.kind == kind) for kind in KINDS
        }
        block = cost.lane_tile(machine, extents["batch"], extents["m"], extents["n"])
        keep = [d for d, dim in enumerate(dims) if dim.extent > 1 or self._is_indexed(d)]
        index, list_region, indexed = NO_LIST, None, None
        if tiles.index is not None:
            loop, view = tiles.index
            at = Walk(0, (1,), (1,), (view,)).cut([box.starts[loop]], [box.sizes[loop]])
            listed = at.index[0]
            assert listed is not None
            index, list_region = emitter.list_region(listed)
            indexed = keep.index(loop)
        contraction = Contraction(
            tuple(dims[d] for d in keep),
            operands["a"].buffer.stored_as,
            operands["b"].buffer.stored_as,
            c_dtype,
            tiles.multiply,  # type: ignore[arg-type]
            block,
            indexed,
        )
        accumulate = int(not box.first or tiles.op.accumulate)
        command = Gemm(
            tag=emitter.tag,
            a=a.address,
            b=b.address,
            c=c.address,
            shape=emitter.contraction(contraction),
            index=index,
            accumulate=accumulate,
        )
        batch, m, n, k = (extents[kind] for kind in KINDS)
        duration = int(cost.gemm_cycles(machine, batch, m, n, k, block))
        reads = [a.region, b.region]
        if accumulate:
            reads.append(c.region)
        if list_region is not None:
            reads.append(list_region)
        emitter.add(command, Queue.TENSOR, duration, reads, [c.region])

    def _is_indexed(self, d: int) -> bool:
        return self._tiles.index is not None and self._tiles.index[0] == d

    def _finish(self, box: Box, sums: Place) -> None:
        """Converts wide sums, stores a finished tile."""
        operand = self._tiles.operands["c"]
        walk = self._tiles.tile(operand, box)
        place = sums
        if self._tiles.wide_sums:
            if operand.resident:
                place = self._resident(operand, walk)
            else:
                place = self._pieces["c"].place(walk)[1]
            self._convert(walk, sums, place, operand.buffer.stored_as)
        if not operand.resident:
            self._emitter.store(operand.buffer, walk, place.address)

    def _convert(self, walk: Walk, source: Place, target: Place, dtype: DType) -> None:
        loops = walk.active
        extents = tuple(walk.extents[d] for d in loops)
        inputs = Access(0, 0, tuple(source.strides[d] for d in loops))
        outputs = Access(1, 0, tuple(target.strides[d] for d in loops))
        parallel, origins = (False,) * len(loops), ((1, 1),) * len(loops)
        code = (MicroOp("truncf", (0,), dtype),)
        nest = Nest(extents, parallel, (inputs,), (outputs,), code, (2,), origins)
        element = ELEMENT_BYTES[dtype]
        slots = (
            Slot("f32", source.bytes // 4, "in"),
            Slot(dtype, target.bytes // element, "out"),
        )
        number = self._emitter.micro_program(MicroProgram("convert", slots, (nest,)))
        arguments = self._emitter.arguments((source.address, target.address))
        command = Vector(tag=self._emitter.tag, program=number, arguments=arguments)
        duration = self._emitter.vector_cycles(number)
        reads, writes = [source.region], [target.region]
        self._emitter.add(command, Queue.VECTOR, duration, reads, writes)
