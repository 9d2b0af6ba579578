"""The vector unit and the fused row-update unit: micro-programs on scratchpad operands."""

from __future__ import annotations

from dataclasses import dataclass, field

from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa import Access, AdamRows, MicroProgram, Nest, SgdRows, Slot, Vector
from ssft.hwmodel.isa.dtypes import ELEMENT_BYTES
from ssft.hwmodel.machine.bus import Bus
from ssft.hwmodel.machine.footprints import Footprint
from ssft.hwmodel.machine.memory import Memory
from ssft.hwmodel.machine.nest_execution import run_nest
from ssft.hwmodel.machine.nest_program import Binding, NestProgram
from ssft.hwmodel.machine.slot_views import SlotView, access_footprint, elements

_ALIGNMENT = 64


@dataclass(slots=True)
class _Compiled:
    """A micro-program ready to be bound: nests, temporaries' places, and operand accesses.

    `accesses` are (slot, byte offset, footprint, write), each once.
    """

    program: MicroProgram
    nests: list[NestProgram]
    operands: int
    temporaries: list[int]
    bytes: int
    accesses: list[tuple[int, int, Footprint, bool]]
    iterations: int


@dataclass(slots=True)
class _Bound:
    """A micro-program on certain addresses."""

    compiled: _Compiled
    accesses: list[tuple[int, Footprint, bool]]
    nests: list[Binding] = field(default_factory=list)


def _compile(program: MicroProgram) -> _Compiled:
    nests = [NestProgram(nest, program.slots) for nest in program.nests]
    operands = sum(slot.access != "temporary" for slot in program.slots)
    if any(slot.access == "temporary" for slot in program.slots[:operands]):
        raise MachineError(f"micro-program '{program.kind}' has a temporary before an operand")
    places, size = [], 0
    for slot in program.slots[operands:]:
        places.append(size)
        size += -(-slot.elements * ELEMENT_BYTES[slot.dtype] // _ALIGNMENT) * _ALIGNMENT
    found: dict[tuple[int, int, int, int, tuple, bool], tuple[int, int, Footprint, bool]] = {}
    for nest in nests:
        for slot, offset, footprint, write in _accesses(nest, program.slots):
            key = (slot, offset + footprint.low, footprint.run, 0, footprint.dims, write)
            if slot < operands:
                found.setdefault(key, (slot, offset, footprint, write))
    count = sum(elements(nest.nest) for nest in nests)
    return _Compiled(program, nests, operands, places, size, list(found.values()), count)


def _accesses(nest: NestProgram, slots: tuple[Slot, ...]) -> list[tuple[int, int, Footprint, bool]]:
    found = []
    for write, accesses in ((False, nest.nest.inputs), (True, nest.nest.outputs)):
        for access in accesses:
            slot = slots[access.slot]
            footprint = access_footprint(nest.nest, access, slot)
            offset = access.offset * ELEMENT_BYTES[slot.dtype]
            found.append((access.slot, offset, footprint, write))
    for number in nest.extracts.values():
        slot = slots[number]
        whole = Footprint.block(slot.elements * ELEMENT_BYTES[slot.dtype])
        found.append((number, 0, whole, False))
    return found


class VectorUnit:
    """Executes `Vector`, `AdamRows` and `SgdRows` commands."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self._compiled: dict[int, _Compiled] = {}
        self._bound: dict[tuple[int, int], _Bound] = {}
        self._rows = Memory("row buffer", 0)

    def run(self, command: Vector | AdamRows | SgdRows) -> int:
        """Runs a micro-program; returns the number of iterations of its nests."""
        key = (command.program, command.arguments)
        bound = self._bound.get(key)
        if bound is None:
            bound = self._bound[key] = self._bind(*key)
        for base, footprint, write in bound.accesses:
            self.bus.access(self.bus.spm, base, footprint, write)
        compiled = bound.compiled
        if not bound.nests:
            self._make_views(bound, self.bus.program.arguments[command.arguments])
        self._rows.flags[: compiled.bytes] = False
        for nest, binding in zip(compiled.nests, bound.nests, strict=True):
            binding.origin = command.origin
            run_nest(nest, binding)
        return compiled.iterations

    def _bind(self, number: int, arguments: int) -> _Bound:
        compiled = self._compiled.get(number)
        if compiled is None:
            compiled = _compile(self.bus.program.micro_programs[number])
            self._compiled[number] = compiled
        addresses = self.bus.program.arguments[arguments]
        slots = compiled.program.slots
        if len(addresses) != compiled.operands:
            raise MachineError(
                f"micro-program '{compiled.program.kind}' has {compiled.operands} operands, but "
                f"argument list {arguments} has {len(addresses)}"
            )
        for address, slot in zip(addresses, slots, strict=False):
            self.bus.aligned(address, ELEMENT_BYTES[slot.dtype])
        accesses = [
            (addresses[slot] + offset, footprint, write)
            for slot, offset, footprint, write in compiled.accesses
        ]
        return _Bound(compiled, accesses)

    def _make_views(self, bound: _Bound, addresses: tuple[int, ...]) -> None:
        compiled = bound.compiled
        slots = compiled.program.slots
        if self._rows.size < compiled.bytes:
            # Bound programs keep views on the buffer that they were bound to.
            self._rows = Memory("row buffer", compiled.bytes)
            for other in self._bound.values():
                other.nests = []
        places = [
            *((self.bus.spm, address) for address in addresses),
            *((self._rows, place) for place in compiled.temporaries),
        ]
        for nest in compiled.nests:
            self._bind_nest(bound, nest, slots, places)

    def _bind_nest(
        self,
        bound: _Bound,
        nest: NestProgram,
        slots: tuple[Slot, ...],
        places: list[tuple[Memory, int]],
    ) -> None:
        def view(shape: Nest, access: Access) -> SlotView:
            return SlotView(shape, access, slots[access.slot], *places[access.slot])

        inputs = [view(nest.nest, access) for access in nest.nest.inputs]
        outputs = [view(nest.nest, access) for access in nest.nest.outputs]
        wholes = {}
        for number in set(nest.extracts.values()):
            extents = (slots[number].elements,)
            whole = Nest(extents, (False,), (), (), (), ())
            wholes[number] = view(whole, Access(number, 0, (1,)))
        for position, output in enumerate(outputs):
            others = [*inputs, *outputs[:position], *wholes.values()]
            if any(output.clashes(other) for other in others):
                raise MachineError(
                    f"micro-program '{bound.compiled.program.kind}' writes an output over another "
                    "operand at a different place of the same iteration"
                )
        bound.nests.append(Binding(self.bus, inputs, outputs, wholes))
