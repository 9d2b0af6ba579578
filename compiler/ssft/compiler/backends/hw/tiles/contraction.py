"""Contractions: tile sizes, slots, and the commands of all tiles."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from ssft.compiler.backends.hw.emitter import Emitter
from ssft.compiler.backends.hw.graph import ContractionOp
from ssft.compiler.backends.hw.memory.slots import SlotRequest, padded
from ssft.compiler.backends.hw.tiles import cost
from ssft.compiler.backends.hw.tiles.boxes import (
    Box,
    Walk,
    aligned_sizes,
    boxes,
    cuts_at_multiples,
    own_part,
)
from ssft.compiler.backends.hw.tiles.contraction_writer import KINDS, ContractionWriter
from ssft.compiler.backends.hw.tiles.own_order import search_own_order
from ssft.compiler.backends.hw.tiles.pieces import Pieces, Ring, Stack, Whole, lies_together
from ssft.compiler.backends.hw.tiles.search import GRANULE, GemmTiling, TilingError, search_gemm
from ssft.compiler.backends.hw.tiles.slabs import Slabs
from ssft.compiler.backends.hw.tiles.space import Operand as SearchOperand
from ssft.compiler.backends.hw.tiles.windows import Windows
from ssft.compiler.backends.hw.views import Buffer
from ssft.hwmodel.config import Machine
from ssft.hwmodel.isa import (
    DimKind,
)
from ssft.hwmodel.isa.contraction import GROUP
from ssft.hwmodel.isa.dtypes import ELEMENT_BYTES, DType

OWN_KINDS: dict[str, tuple[DimKind, ...]] = {
    "a": ("batch", "m", "k"),
    "b": ("batch", "k", "n"),
    "c": ("batch", "m", "n"),
}
START_SHARE = 8
TARGET_TILES = 8
BUDGET_STEPS = 16
SEARCHES = 8
"""Searches with less and less room, until what was found takes no more than there is."""
LEAST_K = 64
"""K is not cut any smaller if that fits: it would take a command for little work."""


def strip_size(extent: int, strips: int) -> int:
    """Iterations of a loop in each of about so many strips; whole granules if there are enough."""
    granule = GRANULE if extent > GRANULE * strips else 1
    return -(-extent // (strips * granule)) * granule


@dataclass(eq=False, slots=True)
class Operand:
    """An operand of a contraction: its walk along the dims, and whether it is in the scratchpad."""

    name: str
    buffer: Buffer
    walk: Walk
    resident: bool


def usable(machine: Machine, budget: int) -> int:
    """What a search takes of a budget: coarse steps, which layers with about the same share."""
    step = max(machine.scratchpad.bytes // BUDGET_STEPS, 1)
    return budget // step * step or budget


class ContractionTiles:
    """The tiling of one contraction."""

    def __init__(
        self, op: ContractionOp, machine: Machine, resident: set[int], multiply: str
    ) -> None:
        # Dimensions of a kind next to each other, so that a tile is a box of each kind.
        self.op = op
        self.machine = machine
        self.multiply = multiply
        order = [d for kind in KINDS for d, dim in enumerate(op.dims) if dim.kind == kind]
        self.dims = [op.dims[d] for d in order]
        self.index = None if op.index is None else (order.index(op.index[0]), op.index[1])
        self.groups = {kind: [d for d in self.dims if d.kind == kind] for kind in KINDS}
        self.operands = {
            name: self._operand(name, place, resident)
            for name, place in (("a", op.a), ("b", op.b), ("c", op.c))
        }
        self.tiling: GemmTiling | None = None
        self._sizes: dict[DimKind, int] = {}
        self._listed: Slabs | Windows | None = None

    def _operand(self, name: str, place: tuple[Buffer, int], resident: set[int]) -> Operand:
        buffer, offset = place
        strides = tuple(getattr(dim, name) for dim in self.dims)
        walk = Walk(offset, tuple(dim.extent for dim in self.dims), strides)
        # An argument is updated in DRAM; what is in the scratchpad is a copy for its readers.
        updated = name == "c" and buffer.kind == "argument"
        return Operand(name, buffer, walk, id(buffer) in resident and not updated)

    def extent(self, kind: DimKind) -> int:
        """Product of the extents of all dimensions of a kind."""
        return math.prod(d.extent for d in self.groups[kind])

    def choose(self, budget: int) -> None:
        """Chooses tile sizes whose slots take at most `budget` bytes; may raise TilingError."""
        budget, self._listed = usable(self.machine, budget), None
        # The search takes a gathered operand for as small as what is picked of it.
        wanted, taken = budget, 0
        for _ in range(SEARCHES):
            self._search(wanted, budget)
            taken = sum(slot.total for slot in self.slots())
            if taken <= budget:
                break
            wanted = wanted * 3 // 4
        else:
            raise TilingError(taken, budget)
        self._cut_for_overlap()
        self._take_own_order(budget)

    def _search(self, budget: int, room: int) -> None:
        """Takes the best tiling for `budget`; gathered operands have all of the `room`."""
        batch, m, n, k = (self.extent(kind) for kind in KINDS)
        a, b, c = (self._described(self.operands[name]) for name in ("a", "b", "c"))
        allowed = (self._sizes_of("batch"), self._sizes_of("m"), self._sizes_of("n"))
        failed = TilingError(budget + 1, budget)
        for least in (LEAST_K, GROUP):
            parts = self._parts_that_gather(self._parts_of_k(least), room)
            if not parts:
                continue
            try:
                tiling = search_gemm(
                    *(batch, m, n, k), a, b, c, self.machine, budget, (*allowed, parts)
                )
                break
            except TilingError as error:
                failed = error
        else:
            raise failed
        self.tiling = tiling
        sizes = (tiling.tb, tiling.tm, tiling.tn, tiling.tk)
        self._sizes = dict(zip(KINDS, sizes, strict=True))

    def _sizes_of(self, kind: DimKind) -> tuple[int, ...] | None:
        """Sizes for the search; None, its own choice, for a single loop: any part is a box."""
        return self._allowed(kind) if len(self.groups[kind]) > 1 else None

    @property
    def choice(self) -> Hashable:
        """What was chosen: with the operation, it decides on the commands."""
        assert self.tiling is not None
        sizes = tuple(self._sizes[kind] for kind in KINDS)
        return sizes, self.tiling, self._listed

    @property
    def cycles(self) -> int:
        """Estimated cycles of the chosen tiling."""
        assert self.tiling is not None
        if self._listed is not None:
            return self._listed.cycles
        return self.tiling.est_cycles

    def _cut_for_overlap(self) -> None:
        """Cuts a product of resident operands into a few commands, so that others can overlap."""
        if any(not o.resident for o in self.operands.values()):
            return
        assert self.tiling is not None
        whole = self._command_cycles(self._sizes)
        kinds: tuple[DimKind, ...] = ("batch", "m")
        for kind in kinds:
            for size in self._allowed(kind):
                cut: dict[DimKind, int] = {**self._sizes, kind: size}
                tiles = -(-self.extent(kind) // size)
                cycles = self._command_cycles(cut)
                enough = cycles >= START_SHARE * self._overhead()
                if tiles <= TARGET_TILES and enough and cycles * tiles <= 1.05 * whole:
                    self._sizes = cut
                    return

    def _take_own_order(self, budget: int) -> None:
        """Takes tiles in an order of their own if there are any that gain enough, and fit."""
        assert self.tiling is not None
        self._listed = search_own_order(self, budget, self.tiling.est_cycles)
        if self._listed is not None and sum(slot.total for slot in self.slots()) > budget:
            self._listed = None

    def own(self, operand: Operand) -> tuple[bool, ...]:
        """Which loops are an operand's own."""
        return tuple(dim.kind in OWN_KINDS[operand.name] for dim in self.dims)

    @property
    def whole(self) -> Box:
        """All loops."""
        extents = tuple(dim.extent for dim in self.dims)
        return Box((0,) * len(extents), extents, first=True, last=True)

    def _overhead(self) -> int:
        tensor = self.machine.tensor
        return tensor.fill_cycles + tensor.drain_cycles + self.machine.command.issue_cycles

    def _command_cycles(self, sizes: dict[DimKind, int]) -> int:
        batch, m, n, k = (sizes[kind] for kind in KINDS)
        return int(cost.gemm_cycles(self.machine, batch, m, n, k))

    def _allowed(self, kind: DimKind) -> tuple[int, ...]:
        return tuple(aligned_sizes([d.extent for d in self.groups[kind]]))

    def _parts_of_k(self, least: int) -> tuple[int, ...]:
        """Extents of k, all of it or at least `least`, that keep groups of products together."""
        whole = self.extent("k")
        if self.op.accumulate and self.operands["c"].buffer.stored_as != "f32":
            return (whole,)  # what is added to would have to be widened first
        extents = [d.extent for d in self.groups["k"]]
        sizes = [s for s in aligned_sizes(extents) if least <= s < whole]
        return (*(s for s in sizes if cuts_at_multiples(extents, s, GROUP)), whole)

    def _parts_that_gather(self, parts: tuple[int, ...], budget: int) -> tuple[int, ...]:
        """Those of which a gathered operand's rows, all that can be picked, take half the room."""
        if self.op.index is None:
            return parts
        gathered = next(o for o in self.operands.values() if o.walk.strides[self._gathered_loop])
        if gathered.resident:
            return parts
        row = 2 * self.op.source * ELEMENT_BYTES[gathered.buffer.stored_as]
        return tuple(part for part in parts if part * row <= budget // 2)

    @property
    def _gathered_loop(self) -> int:
        assert self.index is not None
        return self.index[0]

    def _described(self, operand: Operand) -> SearchOperand:
        """The operand in the terms of the tile search."""
        moving = [
            (dim, stride)
            for dim, stride in zip(self.dims, operand.walk.strides, strict=True)
            if dim.kind in OWN_KINDS[operand.name] and stride and dim.extent > 1
        ]
        batched = any(dim.kind == "batch" for dim, _ in moving)
        inner, run = OWN_KINDS[operand.name][-1], 1
        if moving:
            dim, stride = min(moving, key=lambda entry: entry[1])
            if dim.kind != "batch":
                inner = dim.kind
            run = dim.extent if stride == 1 else 1
        return SearchOperand(
            ELEMENT_BYTES[operand.buffer.stored_as],
            inner,  # type: ignore[arg-type]
            run=run,
            packed=False,
            streamed=not operand.resident,
            batched=batched,
        )

    def tile(self, operand: Operand, box: Box) -> Walk:
        """What a tile needs of an operand; a gathered dimension of a or b is needed whole."""
        walk = operand.walk
        if self.index is not None and operand.name != "c" and walk.strides[self.index[0]]:
            loop = self.index[0]
            starts, sizes = list(box.starts), list(box.sizes)
            starts[loop], sizes[loop] = 0, self.op.source
            box = replace(box, starts=tuple(starts), sizes=tuple(sizes))
        return own_part(walk, self.own(operand), box)

    def tiles_in_order(self) -> list[Box]:
        """All tiles, in the order of the chosen loops, batch outermost."""
        assert self.tiling is not None
        if self._listed is not None:
            return list(self._listed.boxes)
        names: dict[str, DimKind] = {"m": "m", "n": "n", "k": "k"}
        order: list[DimKind] = ["batch", *(names[name] for name in self.tiling.order)]
        parts = {
            kind: list(boxes([d.extent for d in self.groups[kind]], self._sizes[kind]))
            for kind in KINDS
        }
        found: list[Box] = []
        stack: list[dict[DimKind, int]] = [{}]
        for kind in order:
            stack = [{**chosen, kind: i} for chosen in stack for i in range(len(parts[kind]))]
        for chosen in stack:
            starts: tuple[int, ...] = ()
            sizes: tuple[int, ...] = ()
            for kind in KINDS:
                start, size = parts[kind][chosen[kind]]
                starts, sizes = starts + start, sizes + size
            last = len(parts["k"]) - 1
            found += self._strips(Box(starts, sizes, chosen["k"] == 0, chosen["k"] == last))
        return found

    def _strips(self, box: Box) -> list[Box]:
        """A tile as the strips in which it is begun or finished; else the tile itself."""
        assert self.tiling is not None
        whole = self.tile(self.operands["c"], box)
        if self.tiling.strips == 1 or not (box.first or box.last) or not whole.active:
            return [box]
        loop = whole.active[0]
        found = []
        size = strip_size(box.sizes[loop], self.tiling.strips)
        for start in range(0, box.sizes[loop], size):
            starts, sizes = list(box.starts), list(box.sizes)
            starts[loop] += start
            sizes[loop] = min(size, box.sizes[loop] - start)
            strip = replace(box, starts=tuple(starts), sizes=tuple(sizes), within=box)
            if not lies_together(self.tile(self.operands["c"], strip), whole):
                return [box]
            found.append(strip)
        return found

    @property
    def splits_k(self) -> bool:
        """Whether sums are put together from several commands."""
        if self._listed is not None:
            return not self._listed.boxes[0].last
        return self._sizes["k"] < self.extent("k")

    @property
    def wide_sums(self) -> bool:
        """Whether sums need f32 room of their own before they are stored in fewer bytes."""
        return self.splits_k and self.operands["c"].buffer.stored_as != "f32"

    def slots(self) -> list[SlotRequest]:
        """Slots of the operands that are streamed; after them, room for wide sums."""
        assert self.tiling is not None
        tiles, slabs = self.tiles_in_order(), self._slabs
        buffers = dict(zip(self.operands, self._buffers(), strict=True))
        requests = []
        for name, operand, dtype in self._slotted():
            owner, label = operand.buffer, "sums" if name == "sums" else ""
            if slabs is None:
                box = tiles[0]
                if not (name == "c" and self.wide_sums):
                    box = box.within or box
                size = padded(self.tile(operand, box).elements * ELEMENT_BYTES[dtype])
                count = self.tiling.buffers[2] if name == "sums" else buffers[name]
                requests.append(SlotRequest(owner, size, count, label))
            elif name in ("a", "b") and name != slabs.joined:
                walks = (self.tile(operand, box) for box in tiles)
                size = Stack.bytes(walks, ELEMENT_BYTES[dtype])
                requests.append(SlotRequest(owner, size, 1, label))
            else:
                whole = self.tile(operand, self.whole)
                size = padded(whole.elements * ELEMENT_BYTES[dtype])
                requests.append(SlotRequest(owner, size, 1, label))
        return requests

    @property
    def _slabs(self) -> Slabs | None:
        """The tiles, if they are parts of whole operands."""
        return self._listed if isinstance(self._listed, Slabs) else None

    def _slotted(self) -> list[tuple[str, Operand, DType]]:
        """What has a slot: a name, the operand, and the type of its elements there."""
        found: list[tuple[str, Operand, DType]] = [
            (name, operand, operand.buffer.stored_as)
            for name, operand in self.operands.items()
            if not operand.resident
        ]
        if self.wide_sums:
            found.append(("sums", self.operands["c"], "f32"))
        return found

    def pieces(self, addresses: Sequence[int]) -> dict[str, Pieces]:
        """Where tiles are in the slots, which are at these addresses."""
        found: dict[str, Pieces] = {}
        slabs = self._slabs
        entries = zip(self._slotted(), addresses, self.slots(), strict=True)
        for (name, operand, dtype), address, request in entries:
            if slabs is None:
                found[name] = Ring(address, request, ELEMENT_BYTES[dtype])
            elif name in ("a", "b") and name != slabs.joined:
                found[name] = Stack(address, ELEMENT_BYTES[dtype])
            else:
                found[name] = Whole(address, self.tile(operand, self.whole), ELEMENT_BYTES[dtype])
        return found

    def _buffers(self) -> tuple[int, int, int]:
        """Pieces of the slots of a, b and c; with wide sums, of what these are converted to."""
        assert self.tiling is not None
        if isinstance(self._listed, Windows):
            return self._listed.buffers
        a, b, c = self.tiling.buffers
        if self.wide_sums:
            return (a, b, 2 if self.tiling.strips > 1 else min(c, 2))
        return (a, b, c)

    def emit(self, emitter: Emitter, addresses: Sequence[int]) -> None:
        """Writes the commands of all tiles."""
        op = self.op
        factors = (op.b[0], op.a[0])
        emitter.begin("contraction", op.origin, factors, op.macs, op.masked_macs)
        ContractionWriter(self, emitter, addresses).write()
