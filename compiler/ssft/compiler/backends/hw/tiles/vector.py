"""Vector kernels: which slots they need, and how high a tile is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ssft.compiler.backends.hw.emitter import Emitter
from ssft.compiler.backends.hw.graph import LoopNest, Operand
from ssft.compiler.backends.hw.kernels.form import VectorKernel, covers
from ssft.compiler.backends.hw.memory.slots import SlotRequest, padded
from ssft.compiler.backends.hw.tiles.boxes import (
    Walk,
    aligned_sizes,
    boxes,
    cuts_at_multiples,
)
from ssft.compiler.backends.hw.tiles.search import TilingError
from ssft.compiler.backends.hw.tiles.vector_writer import TileWriter
from ssft.compiler.backends.hw.views import Buffer
from ssft.hwmodel.config import Machine
from ssft.hwmodel.isa.contraction import GROUP
from ssft.hwmodel.isa.dtypes import ELEMENT_BYTES

TARGET_TILES = 8
"""Tiles that a kernel is cut into where that costs little, so that other units can overlap."""

START_SHARE = 8
"""A tile should compute for at least this many times the unit's start-up time."""


@dataclass(eq=False, slots=True)
class Stream:
    """A tile of a DRAM operand on its way through the scratchpad.

    `moves` says whether each tile of rows has its own part; otherwise one part serves all tiles.
    `walk` covers the whole operand; `own` marks a buffer that the kernel writes and that is cut
    into rows as a contiguous whole.
    """

    buffer: Buffer
    walk: Walk
    load: bool
    store: bool
    moves: bool
    own: bool = False

    def part(self, starts: Sequence[int], sizes: Sequence[int]) -> Walk:
        """What a tile needs."""
        return self.walk.cut(starts, sizes)


@dataclass(frozen=True, slots=True)
class Use:
    """How one operand of a nest is bound: a temporary, a resident buffer, or a stream."""

    kind: str
    stream: Stream | None = None


class VectorTiles:
    """The tiling of one vector kernel.

    `resident` are ids of buffers that lie in the scratchpad as a whole, `temporary` those of
    buffers that only this kernel uses.
    """

    def __init__(
        self, kernel: VectorKernel, machine: Machine, resident: set[int], temporary: set[int]
    ) -> None:
        self.kernel = kernel
        self.rows = kernel.rows
        self._machine = machine
        self.streams: dict[object, Stream] = {}
        self._written = {id(o.buffer) for nest in kernel.nests for o in nest.outputs}
        self._complete: dict[int, bool] = {}
        self.uses: list[tuple[list[Use], list[Use]]] = []
        started: set[int] = set()
        for number, nest in enumerate(kernel.nests):
            inputs = [self._bind(nest, o, number, resident, temporary, False) for o in nest.inputs]
            outputs = []
            for operand in nest.outputs:
                use = self._bind(nest, operand, number, resident, temporary, True)
                accumulates = nest.accumulates(operand) and operand.initial is None
                if use.stream and accumulates and id(operand.buffer) not in started:
                    use.stream.load = True
                started.add(id(operand.buffer))
                outputs.append(use)
            self.uses.append((inputs, outputs))
        self.height = 1

    def _bind(
        self,
        nest: LoopNest,
        operand: Operand,
        number: int,
        resident: set[int],
        temporary: set[int],
        written: bool,
    ) -> Use:
        buffer = operand.buffer
        if id(buffer) in temporary:
            return Use("temporary")
        # An argument is updated in DRAM, and there optimizers read what they update.
        in_dram = buffer.kind == "argument" and (written or nest.optimizer is not None)
        if id(buffer) in resident and not operand.indexed and not in_dram:
            return Use("resident")
        return Use("stream", self._stream(nest, operand, number, written))

    def _stream(self, nest: LoopNest, operand: Operand, number: int, written: bool) -> Stream:
        buffer, count = operand.buffer, len(self.rows)
        walk = Walk(operand.offset, nest.extents, operand.strides, operand.index)
        moves = any(
            stride and extent > 1
            for stride, extent in zip(operand.strides, self.rows, strict=False)
        ) or any(view is not None for view in operand.index[:count])
        if self._owned(buffer) and not operand.indexed and self._leads(operand):
            key: object = ("own", id(buffer))
            inner = buffer.elements // math.prod(self.rows)
            strides = []
            step = buffer.elements
            for extent in self.rows:
                step //= extent
                strides.append(step)
            walk = Walk(0, (*self.rows, inner), (*strides, 1))
            own = True
        else:
            place = number if written else -1
            loops = tuple((e, s) for e, s in zip(nest.extents, operand.strides, strict=True) if s)
            key = (id(buffer), place, operand.offset, loops, operand.strides[:count], operand.index)
            own = False
        stream = self.streams.get(key)
        if stream is None:
            stream = Stream(buffer, walk, False, False, moves, own)
            self.streams[key] = stream
        stream.store |= written
        stream.load |= not written and not (own and id(buffer) in self._written)
        return stream

    def _owned(self, buffer: Buffer) -> bool:
        """Whether the kernel makes all of a buffer, row by row."""
        key = id(buffer)
        if key not in self._complete:
            made = key in self._written and key not in self.kernel.summed
            self._complete[key] = made and covers(self.kernel.nests, buffer)
        return self._complete[key]

    def _leads(self, operand: Operand) -> bool:
        """Whether the rows are the leading dimensions of the operand's buffer."""
        expected = operand.buffer.elements
        for extent, stride in zip(self.rows, operand.strides, strict=False):
            if expected % extent:
                return False
            expected //= extent
            if stride != expected and extent > 1:
                return False
        return operand.offset < expected and operand.buffer.kind == "value"

    def choose(self, budget: int) -> None:
        """Chooses the height of a tile so that its slots take at most `budget` bytes.

        Raises TilingError if not even the smallest fits.
        """
        sizes = [s for s in aligned_sizes(self.rows) if self._may_cut(s)]
        total = math.prod(self.rows)
        fitting = [s for s in sizes if self._bytes(s) <= budget]
        if not fitting:
            raise TilingError(self._bytes(sizes[0]), budget)
        wanted = total
        cycles = self._cycles()
        start = self._machine.vector.startup_cycles * START_SHARE
        if cycles > 2 * start:
            parts = min(TARGET_TILES, cycles // start)
            wanted = -(-total // parts)
        enough = [s for s in fitting if s >= wanted]
        even = [s for s in enough if total % s == 0]
        self.height = min(even or enough) if enough else max(fitting)

    @property
    def choice(self) -> int:
        """What was chosen: with the kernel, it decides on the commands."""
        return self.height

    def _may_cut(self, size: int) -> bool:
        """Whether cutting sums at `size` rows leaves groups of products together."""
        count = len(self.rows)
        for nest in self.kernel.nests:
            if any(nest.reduction[:count]):
                loops = zip(nest.extents[count:], nest.reduction[count:], strict=True)
                inner = math.prod(extent for extent, reduced in loops if reduced)
                if not cuts_at_multiples(self.rows, size, GROUP // math.gcd(GROUP, inner)):
                    return False
        return True

    def _cycles(self) -> int:
        vector = self._machine.vector
        return sum(
            math.prod(nest.extents) * max(1, len(nest.code)) // vector.lanes // vector.alus_per_lane
            for nest in self.kernel.nests
        )

    def tile_bytes(self, stream: Stream, size: int) -> int:
        """Bytes of a stream's part of a tile of `size` rows."""
        starts, sizes = next(iter(boxes(self.rows, size)))
        part = stream.part(starts, sizes)
        return part.elements * ELEMENT_BYTES[stream.buffer.stored_as]

    def buffers(self, stream: Stream, size: int) -> int:
        """Pieces of a stream's slot: two where tiles of `size` rows have parts of their own."""
        return 2 if stream.moves and size < math.prod(self.rows) else 1

    def _bytes(self, size: int) -> int:
        return sum(
            padded(self.tile_bytes(stream, size)) * self.buffers(stream, size)
            for stream in self.streams.values()
        )

    def slots(self) -> list[SlotRequest]:
        """The scratchpad slots of the kernel, in the order in which `emit` gets their addresses."""
        return [
            SlotRequest(
                stream.buffer,
                padded(self.tile_bytes(stream, self.height)),
                self.buffers(stream, self.height),
            )
            for stream in self.streams.values()
        ]

    def emit(self, emitter: Emitter, addresses: Sequence[int]) -> None:
        """Writes the commands of all tiles."""
        nest = self.kernel.nests[0]
        updated = [o.buffer for o in nest.outputs] if nest.optimizer is not None else []
        emitter.begin(self.kernel.kind, nest.origin, updated)
        TileWriter(self, emitter, addresses).write()
