"""Vector kernels: which slots they need, how high a tile is, and the commands of all tiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ssft.compiler.backends.hw.emitter import Emitter
from ssft.compiler.backends.hw.graph import LoopNest, Operand
from ssft.compiler.backends.hw.kernels.form import VectorKernel, covers
from ssft.compiler.backends.hw.memory.slots import SlotRequest
from ssft.compiler.backends.hw.scheduling.task import interval
from ssft.compiler.backends.hw.tiles import cost
from ssft.compiler.backends.hw.tiles.boxes import (
    Walk,
    aligned_sizes,
    boxes,
    cuts_at_multiples,
    flat_start,
)
from ssft.compiler.backends.hw.tiles.micro_code import with_lookups
from ssft.compiler.backends.hw.tiles.search import TilingError
from ssft.compiler.backends.hw.views import Buffer
from ssft.hwmodel.config import Machine
from ssft.hwmodel.isa import (
    Access,
    AdamRows,
    MicroOp,
    MicroProgram,
    Nest,
    Queue,
    SgdRows,
    Slot,
    Vector,
)
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
        self._streams: dict[object, Stream] = {}
        self._written = {id(o.buffer) for nest in kernel.nests for o in nest.outputs}
        self._complete: dict[int, bool] = {}
        self._uses: list[tuple[list[Use], list[Use]]] = []
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
            self._uses.append((inputs, outputs))
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
        stream = self._streams.get(key)
        if stream is None:
            stream = Stream(buffer, walk, False, False, moves, own)
            self._streams[key] = stream
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

    def _tile_bytes(self, stream: Stream, size: int) -> int:
        starts, sizes = next(iter(boxes(self.rows, size)))
        part = stream.part(starts, sizes)
        return part.elements * ELEMENT_BYTES[stream.buffer.stored_as]

    def _buffers(self, stream: Stream, size: int) -> int:
        return 2 if stream.moves and size < math.prod(self.rows) else 1

    def _bytes(self, size: int) -> int:
        return sum(
            _padded(self._tile_bytes(stream, size)) * self._buffers(stream, size)
            for stream in self._streams.values()
        )

    def slots(self) -> list[SlotRequest]:
        """The scratchpad slots of the kernel, in the order in which `emit` gets their addresses."""
        return [
            SlotRequest(
                stream.buffer.name,
                _padded(self._tile_bytes(stream, self.height)),
                self._buffers(stream, self.height),
            )
            for stream in self._streams.values()
        ]

    def emit(self, emitter: Emitter, addresses: Sequence[int]) -> None:
        """Writes the commands of all tiles."""
        nest = self.kernel.nests[0]
        updated = [o.buffer for o in nest.outputs] if nest.optimizer is not None else []
        emitter.begin(kernel_kind(self.kernel), nest.origin, updated)
        _TileWriter(self, emitter, addresses).write()


def kernel_kind(kernel: VectorKernel) -> str:
    """What a kernel is called in reports, by what its code does."""
    names = {op.name for nest in kernel.nests for op in nest.code}
    reduces = any(any(nest.reduction) for nest in kernel.nests)
    optimizer = kernel.nests[0].optimizer
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


def _padded(size: int) -> int:
    return -(-max(size, 1) // 64) * 64


class _TileWriter:
    """Writes the tiles of one kernel."""

    def __init__(self, tiles: VectorTiles, emitter: Emitter, addresses: Sequence[int]) -> None:
        self._tiles = tiles
        self._emitter = emitter
        self._streams = list(tiles._streams.values())
        self._base = {id(s): a for s, a in zip(self._streams, addresses, strict=True)}
        self._turn = {id(s): 0 for s in self._streams}
        self._size = {id(s): _padded(tiles._tile_bytes(s, tiles.height)) for s in self._streams}
        self._buffers = {id(s): tiles._buffers(s, tiles.height) for s in self._streams}
        self._loaded: dict[int, Walk] = {}
        self._programs: dict[tuple[tuple[int, ...], bool], tuple[int, list[Operand]]] = {}
        nests = tiles.kernel.nests
        self._last = boxes(tiles.rows, tiles.height)
        self._nests = nests

    def write(self) -> None:
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
        builder = _ProgramBuilder(tiles, emitter, starts, sizes, first)
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


@dataclass(slots=True)
class _Binding:
    """An operand slot of a micro-program: what it is bound to in this tile."""

    buffer: Buffer
    stream: Stream | None
    offset: int
    span: int
    access: str
    element: int


class _ProgramBuilder:
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
        self.bindings: list[_Binding] = []
        self._slot_of: dict[object, int] = {}
        self._temporaries: dict[int, int] = {}
        self._temporary_slots: list[Slot] = []

    def bind_only(self) -> None:
        """Fills `bindings`."""
        for nest, uses in zip(self._tiles.kernel.nests, self._tiles._uses, strict=True):
            self._accesses(nest, uses)

    def build(self) -> MicroProgram:
        """The micro-program; fills `bindings`, too."""
        plans = [
            (nest, *self._accesses(nest, uses))
            for nest, uses in zip(self._tiles.kernel.nests, self._tiles._uses, strict=True)
        ]
        count = len(self.bindings)
        nests = [self._nest(nest, count, *accesses) for nest, *accesses in plans]
        slots = [
            Slot(b.buffer.stored_as, b.span, b.access)  # type: ignore[arg-type]
            for b in self.bindings
        ]
        kind = kernel_kind(self._tiles.kernel)
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
        self.bindings.append(_Binding(buffer, stream, offset, span, access, element))
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
