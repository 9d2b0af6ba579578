"""The commands of a kernel, written once and copied to wherever equal kernels have their buffers.

A kernel is written with *symbolic* addresses: each slot and each buffer is taken to be at the start
of a range of its own, far larger than any memory, so that an address says to whom it belongs and
how far from its start it is. A copy adds where these start in earnest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

from ssft.compiler.backends.hw.emitter import Emitter
from ssft.compiler.backends.hw.graph import Origin
from ssft.compiler.backends.hw.scheduling.task import Region, Space, Task
from ssft.compiler.backends.hw.views import Buffer
from ssft.hwmodel.isa import NO_LIST, Command, Program, Queue

_RANGE = 1 << 64
"""Bytes between the starts of two symbolic ranges."""

_ADDRESSES = frozenset({"dram", "spm", "index", "a", "b", "c", "target", "source"})
"""The fields of commands that hold addresses. No kernel uses commands of the index unit."""

Write = Callable[[Emitter, Sequence[int]], None]
"""Writes a kernel whose slots are at the given addresses, as `Tiles.emit` does."""


class _Begin(NamedTuple):
    """The arguments of the kernel's `Emitter.begin`; buffers by number."""

    kind: str
    buffers: tuple[int, ...]
    macs: int
    masked: int


class _Region(NamedTuple):
    """A region; `base` is the number of its range, and `low` and `high` count from its start."""

    base: int
    space: Space
    low: int
    high: int
    rows: int
    row_bytes: int
    pitch: int


class _Step(NamedTuple):
    """One command.

    `addresses` are its fields that hold some: name, range, bytes from its start. `arguments`, of a
    vector command, are the addresses in its list.
    """

    kind: type[Command]
    values: dict[str, Any]
    addresses: tuple[tuple[str, int, int], ...]
    arguments: tuple[tuple[int, int], ...] | None
    queue: Queue
    duration: int
    reads: tuple[_Region, ...]
    writes: tuple[_Region, ...]


class Template:
    """A kernel written for a program. `buffers` are its pattern's, `slots` is how many it has."""

    def __init__(
        self, write: Write, buffers: Sequence[Buffer], slots: int, emitter: Emitter
    ) -> None:
        self._slots, self._count = slots, len(buffers)
        numbers = {id(buffer): number for number, buffer in enumerate(buffers)}
        recorder = _Recorder(emitter.machine, Program(emitter.program.machine, "bf16"))
        for key, number in numbers.items():
            recorder.spm[key] = (slots + number) * _RANGE
            recorder.dram[key] = (slots + self._count + number) * _RANGE
        write(recorder, [slot * _RANGE for slot in range(slots)])
        assert recorder.begun is not None
        kind, named, macs, masked = recorder.begun
        self._begin = _Begin(kind, tuple(numbers[id(b)] for b in named), macs, masked)
        self._steps = [_step(task, recorder.program, emitter) for task in recorder.tasks]

    def __len__(self) -> int:
        return len(self._steps)

    def write(
        self, emitter: Emitter, addresses: Sequence[int], buffers: Sequence[Buffer], origin: Origin
    ) -> None:
        """Writes the kernel for other buffers: slots at `addresses`, the rest where they are."""
        begin = self._begin
        named = [buffers[number] for number in begin.buffers]
        emitter.begin(begin.kind, origin, named, begin.macs, begin.masked)
        # What has no address is never asked for one.
        bases = [*addresses]
        bases += [emitter.spm.get(id(buffer), -1) for buffer in buffers]
        bases += [emitter.dram.get(id(buffer), -1) for buffer in buffers]
        hints = [0] * (self._slots + self._count) + [buffer.number for buffer in buffers]
        for kind, fixed, moving, arguments, queue, duration, reads, writes in self._steps:
            values = fixed.copy()
            for name, base, offset in moving:
                values[name] = bases[base] + offset
            if arguments is not None:
                values["arguments"] = emitter.arguments([bases[b] + at for b, at in arguments])
            command = kind(tag=emitter.tag, **values)
            read, written = _placed(reads, bases, hints), _placed(writes, bases, hints)
            emitter.tasks.append(Task(command, queue, duration, read, written, emitter.kernel))


class _Recorder(Emitter):
    """An emitter that also keeps what the kernel began with."""

    begun: tuple[str, Sequence[Buffer], int, int] | None = None

    def begin(
        self,
        kind: str,
        origin: Origin,
        buffers: Sequence[Buffer] = (),
        macs: int = 0,
        masked: int = 0,
    ) -> None:
        """Keeps the arguments; a kernel begins once."""
        assert self.begun is None
        self.begun = (kind, buffers, macs, masked)


def _step(task: Task, program: Program, emitter: Emitter) -> _Step:
    """The symbolic form of a command of `program`, whose tables' entries `emitter` gets."""
    command = task.command
    values: dict[str, Any] = {}
    addresses: list[tuple[str, int, int]] = []
    arguments = None
    for field in fields(command):
        if "bits" not in field.metadata:
            continue  # the head, which gets its tag later and its semaphores at the end
        name, value = field.name, getattr(command, field.name)
        if name == "shape":
            values[name] = emitter.contraction(program.contractions[value])
        elif name == "program":
            values[name] = emitter.micro_program(program.micro_programs[value])
        elif name == "arguments":
            arguments = tuple(divmod(address, _RANGE) for address in program.arguments[value])
        elif name in _ADDRESSES and not (name == "index" and value == NO_LIST):
            base, offset = divmod(value, _RANGE)
            addresses.append((name, base, offset))
        else:
            values[name] = value
    reads, writes = (tuple(map(_symbolic, found)) for found in (task.reads, task.writes))
    return _Step(
        *(type(command), values, tuple(addresses), arguments, task.queue, task.duration),
        *(reads, writes),
    )


def _symbolic(region: Region) -> _Region:
    base, low = divmod(region.low, _RANGE)
    shape = region.rows, region.row_bytes, region.pitch
    return _Region(base, region.space, low, low + region.high - region.low, *shape)


def _placed(regions: Sequence[_Region], bases: Sequence[int], hints: Sequence[int]) -> list[Region]:
    """Regions where ranges start at `bases`, in buffers of the numbers `hints`."""
    return [
        Region(space, bases[base] + low, bases[base] + high, rows, row_bytes, pitch, hints[base])
        for base, space, low, high, rows, row_bytes, pitch in regions
    ]
