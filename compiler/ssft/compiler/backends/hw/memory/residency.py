"""Which buffers stay in the scratchpad from their first use to their last.

Everything else lives in DRAM and passes through the scratchpad tile by tile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ssft.compiler.backends.hw.graph import ContractionOp, GraphOp, LoopNest, RowLookup, ScatterAdd
from ssft.compiler.backends.hw.kernels.form import Kernel, VectorKernel, kernel_buffers
from ssft.compiler.backends.hw.views import Buffer
from ssft.compiler.diagnostics import UserError
from ssft.hwmodel.config import Machine

STEEPNESS = 4
"""How the price of room grows with how much of it is wanted; 0 would be the same price always."""

LARGEST = 1 / 4
"""Of the scratchpad: nobody competes with larger buffers, which seldom find room."""

LEAST_WANTED = 0.05
"""Of the scratchpad: where less is wanted, room is not cheaper."""


@dataclass(slots=True)
class Lifetime:
    """The kernels that use a buffer, by position; `loaded`: from when on its room is reserved."""

    buffer: Buffer
    first: int
    last: int
    accesses: int = 0
    loaded: int = 0
    readers: set[int] = field(default_factory=set)
    writers: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Residency:
    """`resident`: lifetimes of what stays in the scratchpad; `temporary`: ids of what never leaves
    a kernel; `occupied`: bytes resident while each kernel runs."""

    resident: list[Lifetime]
    temporary: set[int]
    occupied: np.ndarray
    lifetimes: dict[int, Lifetime]
    _kept: dict[int, Lifetime] = field(init=False)

    def __post_init__(self) -> None:
        self._kept = {id(entry.buffer): entry for entry in self.resident}

    @property
    def ids(self) -> set[int]:
        """Ids of resident buffers."""
        return set(self._kept)

    def ids_at(self, position: int, buffers: Iterable[Buffer]) -> set[int]:
        """Ids of those of `buffers` of which the kernel at `position` finds a good copy.

        Arguments are updated in DRAM, after which a copy in the scratchpad is out of date.
        """
        entries = (self._kept.get(id(buffer)) for buffer in buffers)
        return {
            id(entry.buffer)
            for entry in entries
            if entry is not None
            and (
                entry.buffer.kind != "argument" or position <= min(entry.writers, default=position)
            )
        }


def find_lifetimes(kernels: Sequence[Kernel]) -> dict[int, Lifetime]:
    """The lifetime of each buffer, by id."""
    found: dict[int, Lifetime] = {}
    for position, kernel in enumerate(kernels):
        read, written = kernel_buffers(kernel)
        for buffers, reading in ((read, True), (written, False)):
            for buffer in buffers:
                if buffer.splat is not None:
                    continue
                entry = found.setdefault(id(buffer), Lifetime(buffer, position, position))
                entry.last = position
                entry.loaded = max(entry.first - 1, 0)
                entry.accesses += 1
                (entry.readers if reading else entry.writers).add(position)
    return found


def choose_residency(
    kernels: Sequence[Kernel], results: set[int], machine: Machine, share: float
) -> Residency:
    """Keeps what saves the most traffic per byte, in at most `share` of the scratchpad.

    `results` are ids of buffers that belong to the host. Lists that commands look up must stay
    in the scratchpad, whatever the share; raises `UserError` if they do not fit.
    """
    lifetimes = find_lifetimes(kernels)
    in_dram = results | _gathered_from(kernels)
    temporary = {key for key, entry in lifetimes.items() if _is_temporary(entry, kernels, in_dram)}
    required = _required(kernels)
    candidates = [
        entry
        for key, entry in lifetimes.items()
        if key not in temporary and key not in in_dram and _may_stay(entry, kernels, required)
    ]
    budget = int(machine.scratchpad.bytes * share)
    occupied = np.zeros(len(kernels), dtype=np.int64)
    resident: list[Lifetime] = []
    prices = _prices(candidates, len(kernels), machine.scratchpad.bytes)
    order = sorted(
        candidates,
        key=lambda e: (
            id(e.buffer) not in required,
            -e.accesses / float(prices[_span(e)].sum()),
            e.buffer.bytes,
        ),
    )
    for entry in order:
        size = -(-entry.buffer.bytes // 64) * 64
        span = _span(entry)
        must = id(entry.buffer) in required
        if occupied[span].max(initial=0) + size > (machine.scratchpad.bytes if must else budget):
            if must:
                raise _too_large(entry.buffer, machine)
            continue
        occupied[span] += size
        resident.append(entry)
    _start_loads_early(resident, occupied, budget)
    return Residency(resident, temporary, occupied, lifetimes)


def _span(entry: Lifetime) -> slice:
    """The kernels during which a buffer takes room."""
    return slice(max(entry.first - 1, 0), entry.last + 1)


def _prices(candidates: Sequence[Lifetime], count: int, capacity: int) -> np.ndarray:
    """What room costs while each kernel runs: more where more buffers want it.

    Most steps want most at the end of the forward pass. What is used only around then pays for
    little else, while what is used at both ends of the step pays for all of it.
    """
    wanted = np.zeros(count)
    for entry in candidates:
        if entry.buffer.bytes <= LARGEST * capacity:
            wanted[_span(entry)] += entry.buffer.bytes
    return np.maximum(wanted / capacity, LEAST_WANTED) ** STEEPNESS


def _start_loads_early(resident: list[Lifetime], occupied: np.ndarray, budget: int) -> None:
    """Reserves room for what comes from DRAM well before its first use, as long as there is some.

    Loads run ahead of the units that wait for them only where their target is free.
    """
    for entry in sorted(resident, key=lambda e: e.first):
        if entry.buffer.kind == "value":
            continue
        size = -(-entry.buffer.bytes // 64) * 64
        start = max(entry.first - 1, 0)
        while start > 0 and occupied[start - 1] + size <= budget:
            start -= 1
            occupied[start] += size
        entry.loaded = start


def _is_temporary(entry: Lifetime, kernels: Sequence[Kernel], in_dram: set[int]) -> bool:
    kernel = kernels[entry.first]
    return (
        entry.first == entry.last
        and entry.buffer.kind == "value"
        and isinstance(kernel, VectorKernel)
        and bool(entry.writers)
        and id(entry.buffer) not in in_dram
        and id(entry.buffer) not in kernel.summed
    )


def _may_stay(entry: Lifetime, kernels: Sequence[Kernel], required: set[int]) -> bool:
    """Whether it is of use to keep a buffer: what is read once as a whole is better streamed."""
    buffer = entry.buffer
    if id(buffer) in required:
        return True
    if buffer.kind == "value":
        return bool(entry.readers)
    readers = [
        position
        for position in entry.readers
        if not _only_looks_up(kernels[position], buffer) and not _updates(kernels[position])
    ]
    # Who writes does so in DRAM: a copy in the scratchpad would be out of date from then on.
    stale = any(writer < reader for writer in entry.writers for reader in readers)
    return len(readers) > 1 and not stale


def _only_looks_up(kernel: Kernel, buffer: Buffer) -> bool:
    return (
        not isinstance(kernel, VectorKernel)
        and isinstance(kernel.op, RowLookup)
        and kernel.op.table is buffer
    )


def _updates(kernel: Kernel) -> bool:
    return isinstance(kernel, VectorKernel) and kernel.nests[0].optimizer is not None


def _gathered_from(kernels: Sequence[Kernel]) -> set[int]:
    """Ids of computed values from and to which rows are gathered and scattered: by DMA only."""
    nests = [n for kernel in kernels if isinstance(kernel, VectorKernel) for n in kernel.nests]
    operands = [o for nest in nests for o in [*nest.inputs, *nest.outputs] if o.indexed]
    return {id(o.buffer) for o in operands if o.buffer.kind == "value"}


def _required(kernels: Sequence[Kernel]) -> set[int]:
    """Ids of buffers that commands address by position: index lists and looked-up values."""
    found: set[int] = set()
    for kernel in kernels:
        ops: list[GraphOp] = list(kernel.nests) if isinstance(kernel, VectorKernel) else [kernel.op]
        for op in ops:
            if isinstance(op, LoopNest):
                for operand in [*op.inputs, *op.outputs]:
                    found |= {id(view.buffer) for view in operand.index if view is not None}
                found |= {id(lookup.buffer) for lookup in op.lookups}
            elif isinstance(op, ContractionOp) and op.index is not None:
                found.add(id(op.index[1].buffer))
            elif isinstance(op, RowLookup | ScatterAdd):
                found.add(id(op.index.buffer))
    return found


def _too_large(buffer: Buffer, machine: Machine) -> UserError:
    return UserError(
        f"'{buffer.name}' of {buffer.bytes} bytes is looked up element by element and does not fit "
        f"into the scratchpad of '{machine.name}' ({machine.scratchpad.bytes} bytes), "
        "with what else is looked up at the time",
        notes=["choose a machine with a larger scratchpad, or a smaller batch"],
    )
