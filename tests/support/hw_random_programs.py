"""Small random programs that a machine can time: valid, free of deadlock, and about nothing.

Commands are made in one global order. A command may wait only for posts of commands before it in
that order, so the order itself is a legal execution and no deadlock is possible.
"""

from __future__ import annotations

import itertools
from random import Random
from typing import Any

from ssft.hwmodel import isa
from ssft.hwmodel.isa import (
    Access,
    Command,
    Contraction,
    Dim,
    DramBuffer,
    MicroOp,
    MicroProgram,
    Nest,
    Program,
    Queue,
    Slot,
    SourceOp,
    SpmSlot,
)
from ssft.hwmodel.isa.program import PHASES, PURPOSES

BUFFER_BYTES = 1 << 24
SPM_BYTES = 1 << 16
SLOT_BYTES = 1 << 13
MANUAL = 7
"""A semaphore that only `Post` commands raise; 0 to 4 count the commands of each queue."""


def gemm_shape(random: Random, scale: int = 1) -> Contraction:
    """A random batched matrix product; `scale` multiplies its batch."""
    batch, m, n, k = (random.randint(1, top) for top in (3, 40, 40, 70))
    batch *= scale
    return Contraction(
        (
            Dim("batch", batch, m * k, k * n, m * n),
            Dim("m", m, k, 0, n),
            Dim("n", n, 0, 1, 1),
            Dim("k", k, 1, n, 0),
        ),
        a_dtype=random.choice(["bf16", "f32"]),
        b_dtype=random.choice(["bf16", "f32"]),
        multiply=random.choice(["bf16", "f32"]),
        lane_tile=random.choice([(4, 8), (8, 4), (4, 4)]),
        indexed=1,
    )


def micro_program(random: Random, scale: int = 1) -> MicroProgram:
    """exp(x) * y / row sum into a temporary and out; `scale` multiplies the number of rows."""
    rows, columns = random.randint(1, 9) * scale, random.randint(1, 50)
    full, per_row = (columns, 1), (1, 0)
    slots = (
        Slot("f32", rows * columns, "in"),
        Slot("f32", rows * columns, "out"),
        Slot("f32", rows, "out"),
        Slot("f32", rows * columns, "temporary"),
    )
    exponential = Nest(
        (rows, columns),
        (False, False),
        (Access(0, 0, full),),
        (Access(3, 0, full),),
        (MicroOp("exp", (0,), "f32"), MicroOp("mulf", (2, 0), "f32")),
        (3,),
    )
    row_sum = Nest(
        (rows, columns),
        (False, True),
        (Access(3, 0, full),),
        (Access(2, 0, per_row, initial=0.0),),
        (MicroOp("addf", (0, 1), "f32"),),
        (2,),
    )
    divide = Nest(
        (rows, columns),
        (False, False),
        (Access(3, 0, full), Access(2, 0, per_row)),
        (Access(1, 0, full),),
        (MicroOp("divf", (0, 1), random.choice(["f32", "f64"])),),
        (3,),
    )
    return MicroProgram("softmax", slots, (exponential, row_sum, divide))


def command(random: Random, queue: Queue, scale: int, head: dict[str, Any]) -> Command:
    """A command of `queue` that works; `scale` multiplies one of its extents."""
    rows = random.randint(1, 40) * scale

    def spm() -> int:
        return random.randrange(SPM_BYTES)

    match queue:
        case Queue.DMA_IN | Queue.DMA_OUT:
            inward = queue is Queue.DMA_IN
            place = {
                "dram": random.randrange(len(PURPOSES)) * BUFFER_BYTES + random.randrange(4096),
                "spm": spm(),
            }
            kind = random.choice(["2d", "packed", "rows", "columns"])
            if kind == "columns":
                cls = isa.GatherColumns if inward else isa.ScatterColumns
                count = random.randint(1, 100)
                return cls(**head, **place, index=0, rows=rows, count=count, element_bytes=2,
                           pitch=random.choice([256, 4096]))  # fmt: skip
            if kind == "rows":
                cls = isa.GatherRows if inward else isa.ScatterRows
                size = random.randint(1, 4096)
                return cls(**head, **place, index=0, count=rows, row_bytes=size, pitch=size + 32)
            cls = isa.Load2D if inward else isa.Store2D
            size = random.randint(1, 40) * 64 if kind == "packed" else random.randint(1, 5000)
            pitch = size if kind == "packed" else size + random.randint(1, 300)
            return cls(**head, **place, rows=rows, row_bytes=size, pitch=pitch)
        case Queue.TENSOR:
            index = random.choice([isa.NO_LIST, spm()])
            return isa.Gemm(**head, a=spm(), b=spm(), c=spm(), shape=random.randrange(4),
                            index=index, accumulate=random.randint(0, 1))  # fmt: skip
        case Queue.VECTOR:
            if random.random() < 0.2:
                return isa.ScatterAddRows(**head, target=spm(), source=spm(), index=spm(),
                                          count=rows, row_elements=random.randint(1, 64), first=0,
                                          rows=10)  # fmt: skip
            cls = random.choice([isa.Vector, isa.Vector, isa.AdamRows, isa.SgdRows])
            return cls(**head, program=random.randrange(3), arguments=random.randrange(4))
        case Queue.INDEX:
            return random.choice([
                lambda: isa.AccumulateScore(**head, gradient=spm(), score=spm(),
                                            elements=64 * rows),
                lambda: isa.CountRowsColumns(**head, score=spm(), counts=spm(), rows=rows,
                                             columns=64, threshold=0, by_column=0),
                lambda: isa.TopK(**head, values=spm(), index=spm(), count=64 * rows, k=rows),
            ])()  # fmt: skip


def slots() -> list[SpmSlot]:
    """Slots that are followed by others at the same addresses, and a hole at the end."""
    starts = range(0, SPM_BYTES - SLOT_BYTES, SLOT_BYTES)
    purposes = itertools.cycle(PURPOSES)
    return [
        SpmSlot(f"{start}", start, SLOT_BYTES, next(purposes), *life)
        for life in ((0, 2), (3, 7))
        for start in starts
    ]


def random_program(random: Random, size: int = 40, scale: int = 1) -> Program:
    """A program of about `size` commands.

    The same random numbers with another `scale` give the same program with one extent of every
    working command multiplied by `scale`.
    """
    program = Program(machine="any", precision="bf16")
    program.contractions = [gemm_shape(random, scale) for _ in range(4)]
    program.micro_programs = [micro_program(random, scale) for _ in range(3)]
    program.arguments = [tuple(random.randrange(SPM_BYTES) for _ in range(3)) for _ in range(4)]
    program.dram = [
        DramBuffer(purpose, i * BUFFER_BYTES, BUFFER_BYTES, "i8", (BUFFER_BYTES,), purpose)
        for i, purpose in enumerate(PURPOSES)
    ]
    program.dram_bytes = BUFFER_BYTES * len(PURPOSES)
    program.operations = [
        SourceOp(f"op{i}", "generic", PHASES[i // 2], f"model.py:{i + 1}", masked_macs=100 * i)
        for i in range(2 * len(PHASES))
    ]
    program.spm = slots()
    program.spm_bytes = SPM_BYTES
    posted = [0] * 5
    manual = 0
    for position in range(size):
        queue = random.choice(list(Queue))
        head: dict[str, Any] = {"tag": position * len(program.operations) // size}
        if random.random() < 0.6:
            semaphore = random.choice([*range(5), MANUAL])
            limit = manual if semaphore == MANUAL else posted[semaphore]
            if limit:
                head |= {"wait": semaphore, "wait_value": random.randint(1, limit)}
        if random.random() < 0.7:
            head["post"] = int(queue)
            posted[queue] += 1
        if random.random() < 0.85:
            program.queues[queue].append(command(random, queue, scale, head))
            continue
        cls = random.choice([isa.Wait, isa.Post, isa.Fence, isa.Mark])
        if cls is isa.Post:
            amount = random.randint(1, 3)
            manual += amount
            head |= {"semaphore": MANUAL, "amount": amount}
        program.queues[queue].append(cls(**head))
    return program
