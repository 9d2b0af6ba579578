"""The different kernels of a program: each is tiled once and written once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace

from ssft.compiler.backends.hw.emitter import Emitter
from ssft.compiler.backends.hw.graph import Origin
from ssft.compiler.backends.hw.kernels.form import Kernel, origin_of
from ssft.compiler.backends.hw.memory.slots import SlotRequest
from ssft.compiler.backends.hw.stitch.pattern import Pattern
from ssft.compiler.backends.hw.stitch.template import Template
from ssft.compiler.backends.hw.tiles.choice import AnyTiles, Room, TileChooser
from ssft.compiler.backends.hw.tiles.search import TilingError
from ssft.compiler.backends.hw.views import Buffer
from ssft.hwmodel.config import Machine


@dataclass(frozen=True, slots=True)
class _Model:
    """The first kernel of its kind: its tiles, the buffers of its pattern, and its slots.

    `written` says what its commands depend on: they serve all models that have the same.
    """

    tiles: AnyTiles
    alone: bool
    buffers: tuple[Buffer, ...]
    requests: list[SlotRequest]
    written: Hashable


@dataclass(frozen=True, slots=True)
class StitchedTiles:
    """A kernel that has the tiles and the commands of its `model`, on `buffers` of its own."""

    library: Library
    model: _Model
    buffers: tuple[Buffer, ...]
    origin: Origin

    def slots(self) -> list[SlotRequest]:
        """The model's slots, of this kernel's buffers."""
        own = {id(m): b for m, b in zip(self.model.buffers, self.buffers, strict=True)}
        return [replace(request, owner=own[id(request.owner)]) for request in self.model.requests]

    def emit(self, emitter: Emitter, addresses: Sequence[int]) -> None:
        """Copies the model's commands."""
        template = self.library.template(self.model, emitter)
        template.write(emitter, addresses, self.buffers, self.origin)


@dataclass
class Library:
    """Tiles of one program's kernels, chosen once for all that are equal and have equal room."""

    chooser: TileChooser
    _patterns: dict[int, tuple[Kernel, Pattern, int]] = field(default_factory=dict)
    _numbers: dict[Hashable, int] = field(default_factory=dict)
    _models: dict[Hashable, _Model | TilingError] = field(default_factory=dict)
    _templates: dict[Hashable, Template] = field(default_factory=dict)

    @property
    def machine(self) -> Machine:
        """The machine that tiles are for."""
        return self.chooser.machine

    def choose(
        self, kernel: Kernel, room: Room, resident: set[int], temporary: set[int]
    ) -> tuple[StitchedTiles, bool]:
        """As `TileChooser.choose`."""
        pattern, number = self._pattern(kernel)
        places = tuple((id(b) in resident, id(b) in temporary) for b in pattern.buffers)
        key = (number, places, self.chooser.relevant(kernel, room))
        if key not in self._models:
            found: _Model | TilingError
            try:
                tiles, alone = self.chooser.choose(kernel, room, resident, temporary)
                written = number, places, tiles.choice
                found = _Model(tiles, alone, pattern.buffers, tiles.slots(), written)
            except TilingError as error:
                found = error
            self._models[key] = found
        model = self._models[key]
        if isinstance(model, TilingError):
            raise model
        return StitchedTiles(self, model, pattern.buffers, origin_of(kernel)), model.alone

    def _pattern(self, kernel: Kernel) -> tuple[Pattern, int]:
        """A kernel's pattern, and the number that equal ones have."""
        if id(kernel) not in self._patterns:
            pattern = Pattern.of(kernel)
            number = self._numbers.setdefault(pattern.key, len(self._numbers))
            # The kernel is kept with it, so that no other one gets its id.
            self._patterns[id(kernel)] = kernel, pattern, number
        return self._patterns[id(kernel)][1:]

    def template(self, model: _Model, emitter: Emitter) -> Template:
        """The commands of a model, written when they are first asked for."""
        if model.written not in self._templates:
            slots = len(model.requests)
            template = Template(model.tiles.emit, model.buffers, slots, emitter)
            self._templates[model.written] = template
        return self._templates[model.written]
