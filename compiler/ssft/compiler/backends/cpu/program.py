"""A compiled step: machine code, the arena, and the list of calls bound to addresses."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter, thread_time

import numpy as np

from ssft.compiler.backends.cpu import arena
from ssft.compiler.backends.cpu.arena import ArenaPlan
from ssft.compiler.backends.cpu.loader import NativeCode
from ssft.compiler.backends.cpu.schedule import Schedule
from ssft.compiler.plan_schema import ArgumentInfo, ResultInfo, StepSignature


@dataclass(frozen=True)
class KernelTime:
    """Where the time of a step went: `calls` runs of a kernel took `seconds` together."""

    kernel: str
    note: str
    calls: int
    seconds: float


@dataclass(frozen=True)
class MemoryUse:
    """The bytes of data that a step works on, all of them: a step allocates nothing.

    `arguments` and `outputs` belong to the caller, `arena` (temporaries) and `constants` to the
    program. `alive` is the most bytes of temporaries that are in use at once: no arena is smaller.
    """

    arguments: int
    outputs: int
    arena: int
    constants: int
    alive: int

    @classmethod
    def of(cls, signature: StepSignature, schedule: Schedule, plan: ArenaPlan) -> MemoryUse:
        """The account of a scheduled step."""
        outputs = [result for result in signature.results if result.updates_arg is None]
        return cls(
            arguments=sum(argument.bytes for argument in signature.arguments),
            outputs=sum(result.bytes for result in outputs),
            arena=plan.bytes,
            constants=sum(len(buffer.data) for buffer in schedule.buffers),
            alive=arena.alive(arena.lifetimes(schedule)),
        )

    @property
    def total(self) -> int:
        """All bytes together."""
        return self.arguments + self.outputs + self.arena + self.constants


class CpuProgram:
    """One training step as machine code.

    `arguments` describe what `run` expects, in order; `outputs` are the results that update no
    argument (loss, metrics, gradients), whose memory the caller passes behind the arguments.
    Updates are written into the arguments themselves. `memory` accounts for all of it.
    """

    def __init__(
        self, signature: StepSignature, schedule: Schedule, plan: ArenaPlan, code: NativeCode
    ) -> None:
        self.signature = signature
        self.schedule = schedule
        self.arena_bytes = plan.bytes
        self._code = code
        self._plan = plan
        self._constants = [np.frombuffer(b.data, np.uint8) for b in schedule.buffers if b.data]
        self._arena: np.ndarray | None = None
        self._bound: tuple[int, ...] = ()
        self._layout_cells()
        self._run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(code.run)

    @property
    def arguments(self) -> tuple[ArgumentInfo, ...]:
        """What the first pointers of `run` point to."""
        return self.signature.arguments

    @property
    def outputs(self) -> tuple[ResultInfo, ...]:
        """What the pointers behind the arguments point to."""
        return tuple(r for r in self.signature.results if r.updates_arg is None)

    @property
    def memory(self) -> MemoryUse:
        """The memory of a step by purpose, in bytes."""
        return MemoryUse.of(self.signature, self.schedule, self._plan)

    def run(self, pointers: Sequence[int]) -> None:
        """Runs one step on the memory at `pointers`: the arguments, then the outputs.

        All are addresses of row-major arrays without gaps, of the shapes and types that
        `arguments` and `outputs` say. The memory must not overlap.
        """
        self._bind(pointers)
        self._run(self._records_at, len(self._records))

    def profile(self, pointers: Sequence[int]) -> list[KernelTime]:
        """Runs one step kernel by kernel; the kernel that takes longest comes first.

        Times are CPU seconds of the calling thread, which runs all of each kernel but the calls of
        BLAS, which may use more threads.
        """
        self._bind(pointers)
        signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
        times: dict[str, list[float]] = {}
        notes: dict[str, str] = {}
        for call, (entry, cells, extent) in zip(
            self.schedule.calls, self._records.tolist(), strict=True
        ):
            function = signature(entry)
            start = thread_time()
            function(cells, 0, extent)
            times.setdefault(call.kernel, []).append(thread_time() - start)
            notes[call.kernel] = call.note
        found = [KernelTime(k, notes[k], len(v), sum(v)) for k, v in times.items()]
        return sorted(found, key=lambda entry: -entry.seconds)

    def time_phases(self, pointers: Sequence[int]) -> dict[str, float]:
        """Runs one step in three parts, each as `run` does; seconds of each.

        ``forward`` ends when the loss is written, ``update`` begins when a parameter or a state is
        written for the first time, and ``backward`` is what is in between. Without clipping, the
        first parameters are updated before the last gradients are known: ``update`` has these, too.
        """
        self._bind(pointers)
        loss, update = self._phase_ends()
        ends = {"forward": loss, "backward": update, "update": len(self._records)}
        found, position, size = {}, 0, self._records.strides[0]
        for phase, end in ends.items():
            start = perf_counter()
            self._run(self._records_at + position * size, end - position)
            found[phase], position = perf_counter() - start, end
        return found

    def _phase_ends(self) -> tuple[int, int]:
        """The numbers of the calls with which the forward and the backward pass are over."""
        trained = {a.index for a in self.arguments if a.role in ("trainable", "state")}
        losses = {number for number, result in enumerate(self.outputs) if result.role == "loss"}
        loss, update = 0, len(self.schedule.calls)
        for number, call in enumerate(self.schedule.calls):
            written = [self.schedule.buffers[o.buffer] for o in call.operands if o.written]
            if any(b.kind == "result" and b.number in losses for b in written):
                loss = number + 1
            if any(b.kind == "argument" and b.number in trained for b in written):
                update = min(update, number)
        return loss, max(loss, update)

    def _layout_cells(self) -> None:
        """Lays out the operand addresses of all calls, and the records that point to them.

        `_slots` says which buffer each pointer of `run` is, and `_bases` holds buffers' addresses.
        """
        operands = [operand for call in self.schedule.calls for operand in call.operands]
        self._buffers = np.array([o.buffer for o in operands], np.int64)
        self._offsets = np.array([o.offset for o in operands], np.uint64)
        self._cells = np.zeros(len(operands), np.uint64)
        records, position = [], 0
        for call in self.schedule.calls:
            kernel = self.schedule.kernels[call.kernel]
            cells = self._cells.ctypes.data + 8 * position
            records.append((self._code.entries[call.kernel], cells, kernel.extent))
            position += len(call.operands)
        self._records = np.array(records, np.uint64).reshape(-1, 3)
        self._records_at = self._records.ctypes.data
        slots = {
            buffer.number + (len(self.arguments) if buffer.kind == "result" else 0): number
            for number, buffer in enumerate(self.schedule.buffers)
            if buffer.kind in ("argument", "result")
        }
        self._slots = np.array([slots[position] for position in range(len(slots))], np.int64)
        self._bases = np.zeros(len(self.schedule.buffers), np.uint64)

    def _bind(self, pointers: Sequence[int]) -> None:
        """Computes the address of every operand, if `pointers` are not those of the last run."""
        wanted = tuple(pointers)
        if wanted == self._bound:
            return
        expected = len(self.arguments) + len(self.outputs)
        if len(wanted) != expected:
            raise ValueError(f"the step takes {expected} pointers, not {len(wanted)}")
        if self._arena is None:
            self._allocate()
        self._bases[self._slots] = wanted
        np.take(self._bases, self._buffers, out=self._cells)
        np.add(self._cells, self._offsets, out=self._cells)
        self._bound = wanted

    def _allocate(self) -> None:
        """Allocates the arena, and notes where temporaries and constants lie."""
        self._arena = np.empty(self.arena_bytes + arena.ALIGNMENT, np.uint8)
        start = -(-self._arena.ctypes.data // arena.ALIGNMENT) * arena.ALIGNMENT
        constants = iter(self._constants)
        for number, buffer in enumerate(self.schedule.buffers):
            if buffer.kind == "temporary":
                self._bases[number] = start + self._plan.offsets.get(number, 0)
            elif buffer.kind == "constant" and buffer.data:
                self._bases[number] = next(constants).ctypes.data
