"""`compile_program`: from a plan to a scheduled program for a machine."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from ssft.compiler.backends.hw.emitter import Emitter
from ssft.compiler.backends.hw.graph import Graph, LoopNest, Origin, Store
from ssft.compiler.backends.hw.importing.state import align, constant_or_input
from ssft.compiler.backends.hw.importing.step import import_graph
from ssft.compiler.backends.hw.kernels.dead_code import remove_dead_code
from ssft.compiler.backends.hw.kernels.form import Kernel, form_kernels, kernel_buffers, origin_of
from ssft.compiler.backends.hw.kernels.fuse_nests import fuse_nests
from ssft.compiler.backends.hw.kernels.homes import write_results_home
from ssft.compiler.backends.hw.kernels.storage import narrow_storage
from ssft.compiler.backends.hw.kernels.truncations import fold_truncations
from ssft.compiler.backends.hw.memory.ahead import begin_earlier
from ssft.compiler.backends.hw.memory.allocate import Allocation, AllocationError, allocate
from ssft.compiler.backends.hw.memory.allocate import Lifetime as Interval
from ssft.compiler.backends.hw.memory.dram_layout import place_in_dram
from ssft.compiler.backends.hw.memory.purposes import mark_purposes
from ssft.compiler.backends.hw.memory.residency import Lifetime, Residency, choose_residency
from ssft.compiler.backends.hw.memory.slots import SlotRequest
from ssft.compiler.backends.hw.scheduling.dependences import dependences
from ssft.compiler.backends.hw.scheduling.list_schedule import list_schedule
from ssft.compiler.backends.hw.scheduling.semaphores import synchronize
from ssft.compiler.backends.hw.stitch.library import Library
from ssft.compiler.backends.hw.tiles import cost
from ssft.compiler.backends.hw.tiles.boxes import Walk
from ssft.compiler.backends.hw.tiles.choice import ALONE, Precision, Room, TileChooser, Tiles
from ssft.compiler.backends.hw.tiles.search import TilingError
from ssft.compiler.diagnostics import SourceLocation, UserError
from ssft.compiler.outlining import parse_flat
from ssft.compiler.pipelines.collect import parse_error
from ssft.compiler.plan_schema import StepSignature, read_signature
from ssft.dialects._mlir import ir
from ssft.hwmodel.config import Machine, load_machine, preset_names
from ssft.hwmodel.isa import Program, SpmSlot

ROW_SHARE = 8
"""One row of a vector kernel's operands may take this fraction of the scratchpad."""

SHARES = (
    *((0.96, 0.5), (0.92, 0.5), (0.92, 0.4), (0.7, 0.5), (0.7, 0.4), (0.5, 0.4), (0.35, 0.4)),
    *((0.2, 0.5), (0.2, 0.4), (0.1, 0.4), (0.0, 0.4), (0.0, 0.3), (0.0, ALONE)),
)
"""Fractions of the scratchpad to keep whole buffers in, and of what is left for a kernel's slots.

The first with which all tiles fit and get addresses is taken. With the last, slots of different
kernels never live together, so that only what a single kernel needs can be too much.
"""


def compile_program(
    plan: ir.Module | str, machine: Machine, precision: Precision = "bf16", *, stitch: bool = True
) -> Program:
    """Lowers the step of a plan to commands of `machine` and schedules them.

    `precision` is what the tensor unit rounds operands to before it multiplies. With `stitch`,
    equal kernels are tiled and written once; the program is the same without, and takes longer.

    Raises:
        UserError: the plan has operations that the machine cannot run, or does not fit.
    """
    module = _parse(plan) if isinstance(plan, str) else plan
    signature = read_signature(module)
    graph = import_graph(module, signature)
    return lower(graph, signature, machine, precision, stitch=stitch)


def _parse(text: str) -> ir.Module:
    try:
        return parse_flat(text)
    except ir.MLIRError as error:
        notes = ["a plan is the text that 'ssftc model.py -o plan.mlir' writes, not its path"]
        raise parse_error(error, "plan", "the plan cannot be parsed: ", notes) from None


def lower(
    graph: Graph,
    signature: StepSignature,
    machine: Machine,
    precision: Precision,
    *,
    stitch: bool = True,
) -> Program:
    """Lowers an imported step."""
    fold_truncations(graph)
    write_results_home(graph)
    _stores_as_nests(graph)
    if precision == "bf16":
        narrow_storage(graph)
    remove_dead_code(graph)
    mark_purposes(graph, signature.arguments)
    kernels = form_kernels(graph, machine.scratchpad.bytes // ROW_SHARE)
    results = {id(buffer) for _, buffer in graph.results}
    fuse_nests(kernels, results)
    chooser = TileChooser(machine, precision)
    layout = _Layout.find(kernels, results, Library(chooser) if stitch else chooser)
    program = Program(_name(machine), precision)
    emitter = Emitter(machine, program)
    shared = place_in_dram(graph, layout.residency, emitter, layout.loaded)
    layout.emit(emitter, shared)
    return _schedule(emitter)


def _name(machine: Machine) -> str:
    """What the program calls its machine: a preset's name is kept for that very preset."""
    if machine.name in preset_names() and load_machine(machine.name) != machine:
        return f"{machine.name}, changed"
    return machine.name


def _stores_as_nests(graph: Graph) -> None:
    """Turns the stores that are left into loop nests that copy."""
    for position, op in enumerate(graph.ops):
        if not isinstance(op, Store):
            continue
        extents, operands = align([op.source, op.target])
        assert operands is not None
        read, written = operands
        code, inputs, register = constant_or_input(op.source, read)
        parallel = (False,) * len(extents)
        graph.ops[position] = LoopNest(
            op.origin, extents, parallel, inputs, [written], code, [register]
        )


@dataclass(slots=True)
class _Layout:
    """Tiles of all kernels, and where their slots and the resident buffers are."""

    kernels: Sequence[Kernel]
    tiles: list[Tiles]
    residency: Residency
    starts: list[int]
    allocation: Allocation

    @classmethod
    def find(
        cls, kernels: Sequence[Kernel], results: set[int], chooser: TileChooser | Library
    ) -> _Layout:
        """The layout with the most buffers resident of those that fit."""
        machine = chooser.machine
        error: TilingError | AllocationError | None = None
        at = 0
        for share, slot_share in SHARES:
            residency = choose_residency(kernels, results, machine, share)
            of_one = slot_share if len(kernels) > 1 else ALONE
            try:
                chosen = []
                for at, kernel in enumerate(kernels):
                    room = Room.at(at, residency, machine, of_one)
                    resident = residency.ids_at(at, chain(*kernel_buffers(kernel)))
                    chosen.append(chooser.choose(kernel, room, resident, residency.temporary))
                tiles = [tile for tile, _ in chosen]
                starts = _slot_starts([alone for _, alone in chosen])
                allocation = _allocate(residency, tiles, starts, machine)
            except (TilingError, AllocationError) as found:
                error = found
                at = found.time if isinstance(found, AllocationError) else at
                continue
            return cls(kernels, tiles, residency, starts, allocation)._earlier(machine)
        assert error is not None
        raise _does_not_fit(machine, error, origin_of(kernels[at]))

    def _earlier(self, machine: Machine) -> _Layout:
        """The same with slots that are reserved earlier, if they get addresses."""
        slots = _slot_intervals(self.tiles, self.starts)
        others = _resident_intervals(self.residency)
        starts = begin_earlier(self.starts, slots, others, machine.scratchpad.bytes)
        try:
            allocation = _allocate(self.residency, self.tiles, starts, machine)
        except AllocationError:
            return self
        return replace(self, starts=starts, allocation=allocation)

    @property
    def loaded(self) -> list[Lifetime]:
        """Resident buffers that come from DRAM."""
        return [entry for entry in self.residency.resident if entry.buffer.kind != "value"]

    def emit(self, emitter: Emitter, shared: Mapping[int, Lifetime]) -> None:
        """Writes the commands of all kernels; `shared` are the lifetimes of buffers in DRAM."""
        program = emitter.program
        count = len(self.residency.resident)
        offsets = self.allocation.offsets
        for entry, address in zip(self.residency.resident, offsets[:count], strict=True):
            emitter.spm[id(entry.buffer)] = address
        loads: dict[int, list[Lifetime]] = {}
        for entry in self.loaded:
            loads.setdefault(entry.first, []).append(entry)
        remaining = iter(offsets[count:])
        slots: list[tuple[int, SlotRequest, int]] = []
        begun: list[int] = []
        for position, tiles in enumerate(self.tiles):
            begun.append(len(program.operations))
            requests = tiles.slots()
            addresses = [next(remaining) for _ in requests]
            slots += [(position, *entry) for entry in zip(requests, addresses, strict=True)]
            for entry in loads.get(position, ()):
                self._load(emitter, entry, position)
            tiles.emit(emitter, addresses)
        begun.append(len(program.operations))
        for entry, address in zip(self.residency.resident, offsets[:count], strict=True):
            first, last = begun[entry.loaded], begun[entry.last + 1] - 1
            buffer = entry.buffer
            program.spm.append(
                SpmSlot(buffer.name, address, buffer.bytes, buffer.purpose, first, last)
            )
        for position, slot, address in slots:
            span = begun[self.starts[position]], begun[position + 1] - 1
            size, purpose = slot.total, slot.owner.purpose
            program.spm.append(SpmSlot(slot.name, address, size, purpose, *span, slot.buffers))
        for number, entry in shared.items():
            first, last = begun[entry.first], begun[entry.last + 1] - 1
            program.dram[number] = replace(program.dram[number], first=first, last=last)
        program.spm_bytes = self.allocation.peak
        program.spm_lower_bound = self.allocation.lower_bound

    def _load(self, emitter: Emitter, entry: Lifetime, position: int) -> None:
        """Writes the load of a resident buffer that comes from DRAM."""
        origin = origin_of(self.kernels[position])
        name = entry.buffer.name.removesuffix(":bf16")
        emitter.begin("load", Origin(name, origin.phase, origin.location))
        walk = Walk(0, (entry.buffer.elements,), (1,))
        emitter.load(entry.buffer, walk, emitter.spm[id(entry.buffer)])


def _slot_starts(alone: Sequence[bool]) -> list[int]:
    """From which kernel on the slots of each kernel are reserved: mostly the one before."""
    return [
        position if position == 0 or alone[position] or alone[position - 1] else position - 1
        for position in range(len(alone))
    ]


def _allocate(
    residency: Residency, tiles: Sequence[Tiles], starts: Sequence[int], machine: Machine
) -> Allocation:
    intervals = [*_resident_intervals(residency), *_slot_intervals(tiles, starts)]
    return allocate(intervals, machine.scratchpad.bytes)


def _resident_intervals(residency: Residency) -> list[Interval]:
    return [Interval(entry.buffer.bytes, entry.loaded, entry.last) for entry in residency.resident]


def _slot_intervals(tiles: Sequence[Tiles], starts: Sequence[int]) -> list[Interval]:
    return [
        Interval(slot.total, starts[position], position)
        for position, tile in enumerate(tiles)
        for slot in tile.slots()
    ]


def _schedule(emitter: Emitter) -> Program:
    tasks = emitter.tasks
    enabled = gc.isenabled()
    gc.disable()  # tens of thousands of small objects, none of them garbage
    try:
        predecessors = dependences(tasks)
        schedule = list_schedule(tasks, predecessors, cost.latency_cycles(emitter.machine))
        emitter.program.queues = synchronize(tasks, schedule.order, predecessors)
    finally:
        if enabled:
            gc.enable()
    return emitter.program


def _does_not_fit(
    machine: Machine, error: TilingError | AllocationError, origin: Origin
) -> UserError:
    return UserError(
        f"'{origin.name}' needs {error.needed} bytes, more than the scratchpad of '{machine.name}' "
        f"can give it of its {machine.scratchpad.bytes}",
        SourceLocation(*_place(origin.location)) if origin.location else None,
        notes=["choose a machine with a larger scratchpad, or a smaller batch or sequence"],
    )


def _place(location: str) -> tuple[str, int]:
    file, _, line = location.rpartition(":")
    return file, int(line)
