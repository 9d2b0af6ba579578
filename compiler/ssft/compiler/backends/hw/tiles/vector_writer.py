"""The commands of a vector kernel's tiles: loads, micro-programs, stores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ssft.compiler.backends.hw.emitter import Emitter
from ssft.compiler.backends.hw.graph import Operand
from ssft.compiler.backends.hw.memory.slots import padded
from ssft.compiler.backends.hw.scheduling.task import interval
from ssft.compiler.backends.hw.tiles import cost
from ssft.compiler.backends.hw.tiles.boxes import (
    Walk,
    boxes,
    flat_start,
)
from ssft.compiler.backends.hw.tiles.vector_program import ProgramBuilder
from ssft.hwmodel.isa import (
    AdamRows,
    Queue,
    SgdRows,
    Vector,
)

if TYPE_CHECKING:
    from ssft.compiler.backends.hw.tiles.vector import Stream, VectorTiles


class TileWriter:
    """Writes the tiles of one kernel."""

    def __init__(self, tiles: VectorTiles, emitter: Emitter, addresses: Sequence[int]) -> None:
        self._tiles = tiles
        self._emitter = emitter
        self._streams = list(tiles.streams.values())
        self._base = {id(s): a for s, a in zip(self._streams, addresses, strict=True)}
        self._turn = {id(s): 0 for s in self._streams}
        self._size = {id(s): padded(tiles.tile_bytes(s, tiles.height)) for s in self._streams}
        self._buffers = {id(s): tiles.buffers(s, tiles.height) for s in self._streams}
        self._loaded: dict[int, Walk] = {}
        self._programs: dict[tuple[tuple[int, ...], bool], tuple[int, list[Operand]]] = {}
        nests = tiles.kernel.nests
        self._last = boxes(tiles.rows, tiles.height)
        self._nests = nests

    def write(self) -> None:
        """Writes all tiles, row after row."""
        tiles = self._tiles
        first = True
        for starts, sizes in boxes(tiles.rows, tiles.height):
            for stream in self._streams:
                self._fetch(stream, starts, sizes, first)
            self._compute(starts, sizes, first)
            for stream in self._streams:
                if stream.store and (stream.moves or stream.own):
                    self._emitter.store(
                        stream.buffer, stream.part(starts, sizes), self._address(stream)
                    )
            first = False
        for stream in self._streams:
            if stream.store and not (stream.moves or stream.own):
                self._emitter.store(stream.buffer, stream.walk, self._address(stream))

    def _address(self, stream: Stream) -> int:
        return self._base[id(stream)] + self._turn[id(stream)] * self._size[id(stream)]

    def _fetch(
        self, stream: Stream, starts: Sequence[int], sizes: Sequence[int], first: bool
    ) -> None:
        part = stream.part(starts, sizes)
        if self._loaded.get(id(stream)) == part:
            return
        if not first and self._buffers[id(stream)] == 2:
            self._turn[id(stream)] ^= 1
        self._loaded[id(stream)] = part
        if stream.load and (first or stream.moves):
            self._emitter.load(stream.buffer, part, self._address(stream))

    def _compute(self, starts: Sequence[int], sizes: Sequence[int], first: bool) -> None:
        tiles, emitter = self._tiles, self._emitter
        key = (tuple(sizes), first)
        builder = ProgramBuilder(tiles, emitter, starts, sizes, first)
        if key in self._programs:
            number = self._programs[key][0]
            builder.bind_only()
        else:
            number = emitter.micro_program(builder.build())
            self._programs[key] = (number, [])
        addresses, reads, writes = [], [], []
        for binding in builder.bindings:
            if binding.stream is not None:
                address = self._address(binding.stream)
            else:
                address = emitter.spm[id(binding.buffer)] + binding.offset * binding.element
            region = interval("spm", address, binding.span * binding.element)
            addresses.append(address)
            if binding.access in ("in", "inout"):
                reads.append(region)
            if binding.access in ("out", "inout"):
                writes.append(region)
        origin = flat_start(tiles.rows, starts)
        arguments = emitter.arguments(addresses)
        optimizer = self._nests[0].optimizer
        if optimizer is None:
            duration = emitter.vector_cycles(number)
            kind: type[Vector] | type[AdamRows] | type[SgdRows] = Vector
        else:
            elements = max(math.prod(self._nests[0].extents[len(sizes) :]) * math.prod(sizes), 1)
            duration = cost.update_cycles(emitter.machine, elements)
            kind = AdamRows if optimizer == 2 else SgdRows
        command = kind(tag=emitter.tag, program=number, arguments=arguments, origin=origin)
        emitter.add(command, Queue.VECTOR, duration, reads, writes)
