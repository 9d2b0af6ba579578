"""The functional machine: memories, units, and queues that run a program on real numbers."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa import (
    AccumulateScore,
    AdamRows,
    Command,
    CountRowsColumns,
    DramBuffer,
    GatherColumns,
    GatherRows,
    Gemm,
    Load2D,
    Program,
    Queue,
    ScatterAddRows,
    ScatterColumns,
    ScatterRows,
    SgdRows,
    Store2D,
    TopK,
    Vector,
)
from ssft.hwmodel.isa.commands import SEMAPHORES
from ssft.hwmodel.isa.encoding import decode, encode
from ssft.hwmodel.machine.bus import Bus
from ssft.hwmodel.machine.dma_unit import DmaUnit
from ssft.hwmodel.machine.errors import Site
from ssft.hwmodel.machine.footprints import Footprint
from ssft.hwmodel.machine.host import read_buffer, write_buffer
from ssft.hwmodel.machine.index_unit import IndexUnit
from ssft.hwmodel.machine.memory import Memory
from ssft.hwmodel.machine.ordering import Clocks, order, posts
from ssft.hwmodel.machine.references import check_references
from ssft.hwmodel.machine.tensor_unit import TensorUnit
from ssft.hwmodel.machine.vector_unit import VectorUnit

Schedule = Literal["round_robin", "random"]
Progress = Callable[[int, int], None]
_PROGRESS_EVERY = 256


@dataclass(slots=True)
class RunStatistics:
    """What a run did: commands by mnemonic, multiply-adds, iterations of nests, DRAM bytes."""

    commands: dict[str, int] = field(default_factory=dict)
    macs: int = 0
    vector_iterations: int = 0
    dram_bytes_read: int = 0
    dram_bytes_written: int = 0
    seconds: float = 0.0


class FunctionalMachine:
    """Runs a program's encoded commands, bit for bit as the instruction set documents.

    Every access is checked: for bounds, for bytes that were never written, and for accesses of
    other queues that no semaphore orders.
    """

    def __init__(
        self,
        program: Program,
        *,
        spm_bytes: int | None = None,
        dram_bytes: int | None = None,
        schedule: Schedule = "round_robin",
        seed: int = 0,
    ) -> None:
        """Allocates as much memory as the program uses, at most what the machine has.

        `schedule` says which of the queues that can run goes next: by turns, or at random. For a
        program without races it makes no difference.
        """
        self.program = decode(encode(program))
        check_references(self.program)
        end = max((b.address + b.bytes for b in self.program.dram), default=0)
        if end > self.program.dram_bytes:
            raise MachineError(f"a buffer ends at {end}, behind the program's DRAM")
        self.spm = Memory("scratchpad", self.program.spm_bytes, spm_bytes)
        self.dram = Memory("dram", self.program.dram_bytes, dram_bytes)
        self._schedule, self._random = schedule, random.Random(seed)
        self._bus = Bus(self.program, self.spm, self.dram)
        self._statistics = RunStatistics()
        self._units = self._dispatch()
        self._clocks: Clocks | None = None
        for buffer in self.program.dram:
            if buffer.data is not None:
                span = slice(buffer.address, buffer.address + buffer.bytes)
                self.dram.data[span] = np.frombuffer(buffer.data, np.uint8)
                self.dram.mark(buffer.address, Footprint.block(buffer.bytes))

    def buffer(self, key: str | int) -> DramBuffer:
        """The DRAM buffer of a name, or of the number of an argument of the step."""
        found = [b for b in self.program.dram if key in (b.name, b.argument)]
        if len(found) != 1:
            kind = "name" if isinstance(key, str) else "argument"
            raise MachineError(f"the program has {len(found)} buffers with {kind} {key!r}")
        return found[0]

    def result(self, number: int) -> NDArray:
        """The step's result of a number."""
        found = [b for b in self.program.dram if b.result == number]
        if len(found) != 1:
            raise MachineError(f"the program has {len(found)} buffers with result {number}")
        return read_buffer(self.dram, found[0])

    def write(self, key: str | int, array: ArrayLike) -> None:
        """Fills a buffer with an array of the tensor's own shape; floats are rounded."""
        write_buffer(self.dram, self.buffer(key), array)

    def read(self, key: str | int) -> NDArray:
        """A buffer's contents in the tensor's own shape; bf16 as float32."""
        return read_buffer(self.dram, self.buffer(key))

    def run(self, on_progress: Progress | None = None) -> RunStatistics:
        """Runs one step. DRAM is kept; the scratchpad and the semaphores start afresh.

        `on_progress` is told the number of commands that are done, and that of all.
        """
        if self._clocks is None:
            self._clocks = order(self.program)
        started = time.perf_counter()
        self._statistics = RunStatistics()
        self.spm.reset()
        self._bus.start(self._clocks)
        total = sum(map(len, self.program.queues.values()))
        with np.errstate(all="ignore"):
            for done, site in enumerate(self._sites(), 1):
                self._execute(site)
                if on_progress is not None and (done % _PROGRESS_EVERY == 0 or done == total):
                    on_progress(done, total)
        self._statistics.seconds = time.perf_counter() - started
        return self._statistics

    def _sites(self) -> Iterator[Site]:
        """The commands in the order in which they run."""
        counts = [0] * SEMAPHORES
        heads = dict.fromkeys(Queue, 0)
        waiting = list(Queue)
        while waiting:
            if self._schedule == "random":
                self._random.shuffle(waiting)
            for queue in list(waiting):
                commands, position = self.program.queues[queue], heads[queue]
                if position == len(commands):
                    waiting.remove(queue)
                    continue
                command = commands[position]
                if command.wait is not None and counts[command.wait] < command.wait_value:
                    continue
                yield Site(queue, position)
                heads[queue] = position + 1
                for semaphore, amount in posts(command):
                    counts[semaphore] += amount
                if self._schedule == "random":
                    break

    def _execute(self, site: Site) -> None:
        command = self.program.queues[site.queue][site.position]
        self._bus.site = site
        counts = self._statistics.commands
        counts[command.MNEMONIC] = counts.get(command.MNEMONIC, 0) + 1
        unit = self._units.get(type(command))
        if unit is None:
            return
        try:
            unit(command)
        except MachineError as error:
            place = site.describe(self.program)
            raise type(error)(f"{place}: {error.message}", error.notes) from None

    def _dispatch(self) -> dict[type[Command], Callable]:
        """Who executes what; commands that only synchronise need nobody."""
        dma, index = DmaUnit(self._bus), IndexUnit(self._bus)
        tensor, vector = TensorUnit(self._bus), VectorUnit(self._bus)

        def counted(execute: Callable, counter: str) -> Callable:
            def run(command: Command) -> None:
                amount = execute(command)
                setattr(self._statistics, counter, getattr(self._statistics, counter) + amount)

            return run

        return {
            Load2D: counted(dma.load_2d, "dram_bytes_read"),
            GatherRows: counted(dma.gather_rows, "dram_bytes_read"),
            GatherColumns: counted(dma.gather_columns, "dram_bytes_read"),
            Store2D: counted(dma.store_2d, "dram_bytes_written"),
            ScatterRows: counted(dma.scatter_rows, "dram_bytes_written"),
            ScatterColumns: counted(dma.scatter_columns, "dram_bytes_written"),
            Gemm: counted(tensor.gemm, "macs"),
            Vector: counted(vector.run, "vector_iterations"),
            AdamRows: counted(vector.run, "vector_iterations"),
            SgdRows: counted(vector.run, "vector_iterations"),
            ScatterAddRows: index.scatter_add_rows,
            AccumulateScore: index.accumulate_score,
            CountRowsColumns: index.count,
            TopK: index.top_k,
        }
