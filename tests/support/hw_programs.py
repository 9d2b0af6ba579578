"""Programs of the accelerator for tests: random ones by hypothesis, and small ones that make sense.

The random ones are well-typed, every value within its field, and nothing else: they are for round
trips. `matmul_program` is one that a machine can run.
"""

from __future__ import annotations

import string
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from ssft.hwmodel.isa import (
    COMMANDS,
    Access,
    Command,
    Contraction,
    Dim,
    DramBuffer,
    Gemm,
    Load2D,
    Mark,
    MicroOp,
    MicroProgram,
    Nest,
    Program,
    Queue,
    Slot,
    SourceOp,
    SpmSlot,
    Store2D,
    Vector,
)
from ssft.hwmodel.isa.command_encoding import LAYOUTS
from ssft.hwmodel.isa.dtypes import DTYPES
from ssft.hwmodel.isa.program import PHASES, PURPOSES


@dataclass
class Memory:
    bytes: int


@dataclass
class SmallMachine:
    """What `check` asks of a machine."""

    scratchpad: Memory
    dram: Memory


def small_machine(spm: int = 1 << 16, dram: int = 1 << 24) -> SmallMachine:
    return SmallMachine(Memory(spm), Memory(dram))


few = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For tests of whole programs, which take a while to make."""

many = settings(max_examples=150, deadline=None)
"""For tests of small things."""


def unsigned(bits: int) -> st.SearchStrategy[int]:
    top = (1 << bits) - 1
    return st.sampled_from([0, 1, top]) | st.integers(0, top)


sizes = st.integers(0, 1 << 40)
offsets = st.integers(-(1 << 40), 1 << 40)
floats = st.floats(allow_nan=False)
names = st.text(string.ascii_letters + string.digits + '._ ;"\\%é', max_size=12) | st.text(
    max_size=6
)
words = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)


def tuples(of: st.SearchStrategy[Any], most: int = 4) -> st.SearchStrategy[tuple]:
    return st.lists(of, max_size=most).map(tuple)


def whole(kind: type, /, **values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Instances of a dataclass; every field must be given, so that a new one is not forgotten."""
    difference = {field.name for field in fields(kind)} ^ values.keys()
    assert not difference, f"{kind.__name__}: {difference}"
    return st.builds(kind, **values)


def commands_of(kind: type[Command]) -> st.SearchStrategy[Command]:
    head = {
        "tag": unsigned(16),
        "wait": st.none() | st.integers(0, 14),
        "wait_value": unsigned(32),
        "post": st.none() | st.integers(0, 14),
    }
    payload = {name: unsigned(bits) for name, bits in LAYOUTS[kind].bits.items()}
    return st.builds(kind, **head, **payload)


def commands(queue: Queue | None = None) -> st.SearchStrategy[Command]:
    """Any commands, or those that a queue may execute."""
    kinds = [kind for kind in COMMANDS if queue is None or queue in kind.QUEUES]
    return st.sampled_from(kinds).flatmap(commands_of)


dims = whole(
    Dim,
    kind=st.sampled_from(["batch", "m", "n", "k"]),
    extent=sizes,
    a=offsets,
    b=offsets,
    c=offsets,
)
contractions = whole(
    Contraction,
    dims=tuples(dims),
    a_dtype=st.sampled_from(DTYPES),
    b_dtype=st.sampled_from(DTYPES),
    c_dtype=st.sampled_from(DTYPES),
    multiply=st.sampled_from(["bf16", "f32"]),
    lane_tile=st.tuples(st.integers(1, 64), st.integers(1, 64)),
    indexed=st.none() | st.integers(0, 4),
)
accesses = whole(
    Access,
    slot=st.integers(0, 9),
    offset=offsets,
    strides=tuples(offsets),
    initial=st.none() | offsets | floats,
)
micro_ops = whole(
    MicroOp,
    name=words,
    operands=tuples(st.integers(0, 99), 3),
    dtype=st.sampled_from(DTYPES),
    immediate=st.none() | st.integers(-(1 << 63), (1 << 64) - 1) | floats | names,
)
nests = whole(
    Nest,
    extents=tuples(sizes),
    reduction=tuples(st.booleans()),
    inputs=tuples(accesses),
    outputs=tuples(accesses),
    code=tuples(micro_ops),
    results=tuples(st.integers(0, 99)),
    origins=tuples(st.tuples(sizes, sizes)),
)
slots = whole(
    Slot,
    dtype=st.sampled_from(DTYPES),
    elements=sizes,
    access=st.sampled_from(["in", "out", "inout", "temporary"]),
)
micro_programs = whole(MicroProgram, kind=names, slots=tuples(slots), nests=tuples(nests, 3))
dram_buffers = whole(
    DramBuffer,
    name=names,
    address=unsigned(48),
    bytes=sizes,
    dtype=st.sampled_from(DTYPES),
    shape=tuples(sizes),
    purpose=st.sampled_from(PURPOSES),
    order=tuples(st.integers(0, 4)),
    argument=st.none() | st.integers(0, 99),
    result=st.none() | st.integers(0, 99),
    data=st.none() | st.binary(max_size=100),
    mirror=st.none() | st.integers(0, 99),
    first=st.none() | sizes,
    last=st.none() | sizes,
)
spm_slots = whole(
    SpmSlot,
    name=names,
    address=unsigned(32),
    bytes=sizes,
    purpose=st.sampled_from(PURPOSES),
    first=sizes,
    last=sizes,
    buffers=st.integers(1, 4),
)
source_ops = whole(
    SourceOp,
    name=names,
    kind=names,
    phase=st.sampled_from(PHASES),
    location=names | st.just("model.py:31"),
    macs=sizes,
    masked_macs=sizes,
)


def programs() -> st.SearchStrategy[Program]:
    """Programs whose every value is in its range; their numbers refer to nothing."""
    return whole(
        Program,
        machine=names,
        precision=st.sampled_from(["bf16", "f32"]),
        queues=st.fixed_dictionaries({q: st.lists(commands(q), max_size=4) for q in Queue}),
        contractions=st.lists(contractions, max_size=2),
        micro_programs=st.lists(micro_programs, max_size=2),
        arguments=st.lists(tuples(unsigned(32)), max_size=3),
        dram=st.lists(dram_buffers, max_size=2),
        spm=st.lists(spm_slots, max_size=2),
        operations=st.lists(source_ops, max_size=3),
        dram_bytes=sizes,
        spm_bytes=sizes,
        spm_lower_bound=sizes,
    )


def packed_matmul(m: int, n: int, k: int) -> Contraction:
    """``C[m, n] = A[m, k] B[k, n]`` of packed f32 matrices."""
    return Contraction(
        dims=(Dim("m", m, k, 0, n), Dim("n", n, 0, 1, 1), Dim("k", k, 1, n, 0)), multiply="f32"
    )


def relu(elements: int) -> MicroProgram:
    """The positive part of f32 operand 0, in operand 1."""
    nest = Nest(
        extents=(elements,),
        reduction=(False,),
        inputs=(Access(0, 0, (1,)),),
        outputs=(Access(1, 0, (1,)),),
        code=(MicroOp("constant", (), "f32", 0.0), MicroOp("maximumf", (0, 2), "f32")),
        results=(3,),
    )
    slots = (Slot("f32", elements, "in"), Slot("f32", elements, "out"))
    return MicroProgram("relu", slots, (nest,))


def matmul_program(m: int = 4, n: int = 8, k: int = 16) -> Program:
    """``relu(x w)``: loads x and w, multiplies, takes the positive part, stores.

    x is the step's argument, w a constant. Semaphore q counts the completed commands of queue q.
    """
    size_x, size_w, size_y = 4 * m * k, 4 * k * n, 4 * m * n
    dram_x, dram_w, dram_y = 0, size_x, size_x + size_w
    x, w, y, z = 0, size_x, size_x + size_w, size_x + size_w + size_y
    weight = np.linspace(-1, 1, k * n, dtype=np.float32).tobytes()
    queues: dict[Queue, list[Command]] = {
        Queue.DMA_IN: [
            Load2D(dram=dram_x, spm=x, rows=m, row_bytes=4 * k, pitch=4 * k, post=0),
            Load2D(dram=dram_w, spm=w, rows=1, row_bytes=size_w, pitch=size_w, post=0),
        ],
        Queue.DMA_OUT: [
            Store2D(
                dram=dram_y, spm=z, rows=1, row_bytes=size_y, pitch=size_y,
                wait=3, wait_value=1, post=1, tag=1,
            ),
        ],
        Queue.TENSOR: [Gemm(a=x, b=w, c=y, shape=0, wait=0, wait_value=2, post=2)],
        Queue.VECTOR: [
            Mark(tag=1),
            Vector(program=0, arguments=0, wait=2, wait_value=1, post=3, tag=1),
        ],
        Queue.INDEX: [],
    }  # fmt: skip
    return Program(
        machine="small",
        precision="f32",
        queues=queues,
        contractions=[packed_matmul(m, n, k)],
        micro_programs=[relu(m * n)],
        arguments=[(y, z)],
        dram=[
            DramBuffer("x", dram_x, size_x, "f32", (m, k), "input", (0, 1), argument=0),
            DramBuffer("w", dram_w, size_w, "f32", (k, n), "weight", (0, 1), data=weight),
            DramBuffer("y", dram_y, size_y, "f32", (m, n), "output", (0, 1), result=0),
        ],
        spm=[
            SpmSlot("x", x, size_x, "input", 0, 0),
            SpmSlot("w", w, size_w, "weight", 0, 0),
            SpmSlot("y", y, size_y, "activation", 0, 1),
            SpmSlot("z", z, size_y, "output", 1, 1),
        ],
        operations=[
            SourceOp("layer", "matmul", "forward", "model.py:3", macs=m * n * k),
            SourceOp("layer.relu", "relu", "forward", "model.py:4"),
        ],
        dram_bytes=size_x + size_w + size_y,
        spm_bytes=z + size_y,
        spm_lower_bound=size_x + size_w + size_y,
    )
