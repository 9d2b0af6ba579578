"""The micro-program of a vector kernel's tile, and what its operands are bound to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ssft.compiler.backends.hw.emitter import Emitter
from ssft.compiler.backends.hw.graph import LoopNest, Operand
from ssft.compiler.backends.hw.tiles.boxes import (
    Walk,
)
from ssft.compiler.backends.hw.tiles.micro_code import with_lookups
from ssft.compiler.backends.hw.views import Buffer
from ssft.hwmodel.isa import (
    Access,
    MicroOp,
    MicroProgram,
    Nest,
    Slot,
)
from ssft.hwmodel.isa.dtypes import ELEMENT_BYTES

if TYPE_CHECKING:
    from ssft.compiler.backends.hw.tiles.vector import Stream, Use, VectorTiles


@dataclass(slots=True)
class Binding:
    """An operand slot of a micro-program: what it is bound to in this tile."""

    buffer: Buffer
    stream: Stream | None
    offset: int
    span: int
    access: str
    element: int


class ProgramBuilder:
    """Builds the micro-program of a tile, or only finds out what its operands are bound to."""

    def __init__(
        self,
        tiles: VectorTiles,
        emitter: Emitter,
        starts: Sequence[int],
        sizes: Sequence[int],
        first: bool,
    ) -> None:
        self._tiles, self._emitter = tiles, emitter
        self._starts, self._sizes, self._first = starts, sizes, first
        self.bindings: list[Binding] = []
        self._slot_of: dict[object, int] = {}
        self._temporaries: dict[int, int] = {}
        self._temporary_slots: list[Slot] = []

    def bind_only(self) -> None:
        """Fills `bindings`."""
        for nest, uses in zip(self._tiles.kernel.nests, self._tiles.uses, strict=True):
            self._accesses(nest, uses)

    def build(self) -> MicroProgram:
        """The micro-program; fills `bindings`, too."""
        plans = [
            (nest, self._accesses(nest, uses))
            for nest, uses in zip(self._tiles.kernel.nests, self._tiles.uses, strict=True)
        ]
        count = len(self.bindings)
        nests = [self._nest(nest, count, *accesses) for nest, accesses in plans]
        slots = [
            Slot(b.buffer.stored_as, b.span, b.access)  # type: ignore[arg-type]
            for b in self.bindings
        ]
        kind = self._tiles.kernel.kind
        return MicroProgram(kind, (*slots, *self._temporary_slots), tuple(nests))

    def _accesses(
        self, nest: LoopNest, uses: tuple[list[Use], list[Use]]
    ) -> tuple[list[Access], list[Access], list[int]]:
        inputs = [
            self._access(nest, operand, use, "in")
            for operand, use in zip(nest.inputs, uses[0], strict=True)
        ]
        outputs = [
            self._access(nest, operand, use, "out")
            for operand, use in zip(nest.outputs, uses[1], strict=True)
        ]
        lookups = [self._lookup(number, nest) for number in range(len(nest.lookups))]
        return inputs, outputs, lookups

    def _access(self, nest: LoopNest, operand: Operand, use: Use, access: str) -> Access:
        written = access == "out"
        reads_too = written and operand.initial is None and nest.accumulates(operand)
        summed = written and nest.accumulates(operand, len(self._sizes))
        initial = operand.initial
        if summed and not self._first:
            initial, reads_too = None, True
        if reads_too:
            access = "inout"
        walk = Walk(operand.offset, nest.extents, operand.strides, operand.index)
        part = walk.cut(self._starts, self._sizes)
        if use.kind == "temporary":
            slot = self._temporary(operand.buffer)
            # Negative: numbered after all operands once their number is known.
            return Access(-1 - slot, operand.offset, _live(part, operand.strides), initial)
        if use.stream is not None:
            return self._streamed(use.stream, operand, part, access, initial)
        # Not the part's own place: operands that meet in this tile may part in the next.
        key = (id(operand.buffer), operand.offset, nest.extents, operand.strides, access == "in")
        slot = self._operand(key, operand.buffer, None, part.offset, part.span, access)
        return Access(slot, 0, _live(part, operand.strides), initial)

    def _streamed(
        self,
        stream: Stream,
        operand: Operand,
        part: Walk,
        access: str,
        initial: int | float | None,
    ) -> Access:
        whole = stream.part(self._starts, self._sizes)
        slot = self._operand(id(stream), stream.buffer, stream, 0, whole.elements, access)
        if stream.own:
            return Access(slot, operand.offset, _live(part, operand.strides), initial)
        return Access(slot, 0, part.packed, initial)

    def _operand(
        self,
        key: object,
        buffer: Buffer,
        stream: Stream | None,
        offset: int,
        span: int,
        access: str,
    ) -> int:
        if key in self._slot_of:
            slot = self._slot_of[key]
            if self.bindings[slot].access != access:
                self.bindings[slot].access = "inout"
            return slot
        self._slot_of[key] = len(self.bindings)
        element = ELEMENT_BYTES[buffer.stored_as]
        self.bindings.append(Binding(buffer, stream, offset, span, access, element))
        return len(self.bindings) - 1

    def _temporary(self, buffer: Buffer) -> int:
        if id(buffer) not in self._temporaries:
            self._temporaries[id(buffer)] = len(self._temporary_slots)
            rows = math.prod(self._tiles.rows)
            elements = buffer.elements // rows * math.prod(self._sizes)
            self._temporary_slots.append(Slot(buffer.dtype, elements, "temporary"))
        return self._temporaries[id(buffer)]

    def _lookup(self, number: int, nest: LoopNest) -> int:
        lookup = nest.lookups[number]
        key = ("lookup", id(lookup.buffer))
        return self._operand(key, lookup.buffer, None, 0, lookup.buffer.elements, "in")

    def _nest(
        self,
        nest: LoopNest,
        operands: int,
        inputs: list[Access],
        outputs: list[Access],
        lookups: list[int],
    ) -> Nest:
        count = len(self._sizes)
        origins = []
        inner = math.prod(self._tiles.rows)
        for extent in self._tiles.rows:
            inner //= extent
            origins.append((inner, extent))
        origins += [(1, 1)] * (len(nest.extents) - count)
        first = len(inputs) + len(outputs)
        code, results = with_lookups(nest.code, nest.results, nest.lookups, lookups, first)
        for place, operand in enumerate(nest.outputs):
            if operand.buffer.storage is not None:
                code.append(MicroOp("truncf", (results[place],), operand.buffer.storage))
                results[place] = first + len(code) - 1
        return Nest(
            (*self._sizes, *nest.extents[count:]),
            nest.reduction,
            tuple(_numbered(access, operands) for access in inputs),
            tuple(_numbered(access, operands) for access in outputs),
            tuple(code),
            tuple(results),
            tuple(origins),
        )


def _numbered(access: Access, operands: int) -> Access:
    if access.slot >= 0:
        return access
    return Access(operands - 1 - access.slot, access.offset, access.strides, access.initial)


def _live(part: Walk, strides: Sequence[int]) -> tuple[int, ...]:
    """Strides, with those of loops of one iteration set to 0: fewer different micro-programs."""
    return tuple(s if e > 1 else 0 for s, e in zip(strides, part.extents, strict=True))
