"""Which tiles a kernel gets, and how much of the scratchpad they may take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from ssft.compiler.backends.hw.emitter import Emitter
from ssft.compiler.backends.hw.graph import ContractionOp, RowLookup, ScatterAdd
from ssft.compiler.backends.hw.kernels.form import Kernel, VectorKernel
from ssft.compiler.backends.hw.memory.residency import Residency
from ssft.compiler.backends.hw.memory.slots import SlotRequest
from ssft.compiler.backends.hw.tiles.contraction import ContractionTiles, usable
from ssft.compiler.backends.hw.tiles.rows import LookupTiles, ScatterAddTiles
from ssft.compiler.backends.hw.tiles.search import TilingError
from ssft.compiler.backends.hw.tiles.vector import VectorTiles
from ssft.hwmodel.config import Machine

ALONE = 1.0
"""The share of slots with which no kernel starts loading while the one before it still runs."""

GAIN_ALONE = 0.9
"""A product gets all of the scratchpad that is left if that takes at most this part of its time."""

AnyTiles = VectorTiles | ContractionTiles | LookupTiles | ScatterAddTiles
Precision = Literal["bf16", "f32"]


class Tiles(Protocol):
    """A kernel whose tiles are chosen."""

    def slots(self) -> list[SlotRequest]:
        """The scratchpad slots that it needs, in the order in which `emit` gets their addresses."""
        ...

    def emit(self, emitter: Emitter, addresses: Sequence[int]) -> None:
        """Writes the commands of all tiles."""
        ...


class Room(NamedTuple):
    """Bytes for a kernel's slots: all that is `left`, and what may be `shared`.

    Normally the slots of the kernel before are still in use while this one's first tiles are
    loaded, so each may take its share, half or less. `shared` is None if none is to be shared.
    """

    left: int
    shared: int | None

    @classmethod
    def at(cls, position: int, residency: Residency, machine: Machine, share: float) -> Room:
        """The room of the kernel at `position`, with a `share` of slots of what is left."""
        left = machine.scratchpad.bytes - int(residency.occupied[position])
        before = machine.scratchpad.bytes - int(residency.occupied[max(position - 1, 0)])
        return cls(left, None if share == ALONE else int(min(left, before) * share))


@dataclass(frozen=True, slots=True)
class TileChooser:
    """Chooses tiles on a machine. `precision` is that of the tensor unit's operands."""

    machine: Machine
    precision: Precision

    def choose(
        self, kernel: Kernel, room: Room, resident: set[int], temporary: set[int]
    ) -> tuple[AnyTiles, bool]:
        """The tiling of a kernel, and whether it needs the scratchpad that is left for itself.

        A large product gains more from larger tiles than from sharing. `resident` are ids of
        buffers that lie in the scratchpad as a whole, `temporary` of those that never leave it.
        """
        tiles = self._new(kernel, resident, temporary)
        if room.shared is None:
            tiles.choose(room.left)
            return tiles, True
        if not isinstance(tiles, ContractionTiles):
            try:
                tiles.choose(room.shared)
            except TilingError:
                tiles.choose(room.left)
                return tiles, True
            return tiles, False
        alone = self._new(kernel, resident, temporary)
        assert isinstance(alone, ContractionTiles)
        alone.choose(room.left)
        try:
            tiles.choose(room.shared)
        except TilingError:
            return alone, True
        if alone.cycles < GAIN_ALONE * tiles.cycles:
            return alone, True
        return tiles, False

    def relevant(self, kernel: Kernel, room: Room) -> Room:
        """The room as far as it matters to the choice."""
        if isinstance(kernel, VectorKernel) or not isinstance(kernel.op, ContractionOp):
            return room
        left = usable(self.machine, room.left)
        return Room(left, None if room.shared is None else usable(self.machine, room.shared))

    def _new(self, kernel: Kernel, resident: set[int], temporary: set[int]) -> AnyTiles:
        if isinstance(kernel, VectorKernel):
            return VectorTiles(kernel, self.machine, resident, temporary)
        if isinstance(kernel.op, ContractionOp):
            return ContractionTiles(kernel.op, self.machine, resident, self.precision)
        if isinstance(kernel.op, RowLookup):
            return LookupTiles(kernel.op, self.machine, resident)
        assert isinstance(kernel.op, ScatterAdd)
        return ScatterAddTiles(kernel.op, self.machine, resident)
