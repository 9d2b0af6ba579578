"""The one table of commands.

A command is 32 bytes: an 8-byte head and a 24-byte payload, both little-endian and without gaps.

Head: opcode (8 bits); wait semaphore (4 bits, 15 = none) and post semaphore (4 bits, 15 = none);
tag (16 bits: the source operation, an index into `Program.operations`); wait value (32 bits).

Payload: the fields of the command's class, in order, each as wide as its `bits` says, then zeros.

Meaning of the head: a queue executes its commands in order. A command starts once its predecessor
in the queue has started and left the unit, and once the wait semaphore has reached the wait value;
when it is complete (its last byte is visible to everybody), it adds 1 to its post semaphore.
Semaphores count up from 0 and are never reset.

All scratchpad (SPM) and DRAM addresses are in bytes. Index lists are ``i64`` words in the
scratchpad.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, ClassVar

NO_LIST = 0xFFFF_FFFF
"""The index-list address that says that a command has no list."""

NO_SEMAPHORE = 15
SEMAPHORES = 15
"""Number of semaphores; their numbers are 0 to 14."""


class Queue(IntEnum):
    """The five in-order queues, one a unit."""

    DMA_IN = 0
    DMA_OUT = 1
    TENSOR = 2
    VECTOR = 3
    INDEX = 4


def _u(bits: int, default: int | None = None) -> Any:
    """An unsigned field of `bits` bits."""
    if default is None:
        return field(metadata={"bits": bits})
    return field(default=default, metadata={"bits": bits})


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What all commands have: the head.

    `wait` and `post` are semaphore numbers or None; `tag` is the number of the source operation.
    """

    OPCODE: ClassVar[int]
    MNEMONIC: ClassVar[str]
    QUEUES: ClassVar[tuple[Queue, ...]]

    tag: int = 0
    wait: int | None = None
    wait_value: int = 0
    post: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Load2D(Command):
    """Copies `rows` runs of `row_bytes`, `pitch` bytes apart in DRAM, to packed rows in SPM."""

    OPCODE = 0x01
    MNEMONIC = "dma.ld2d"
    QUEUES = (Queue.DMA_IN,)

    dram: int = _u(48)
    spm: int = _u(32)
    rows: int = _u(32)
    row_bytes: int = _u(32)
    pitch: int = _u(48)


@dataclass(frozen=True, slots=True, kw_only=True)
class Store2D(Command):
    """Copies packed rows in SPM to `rows` runs of `row_bytes`, `pitch` bytes apart in DRAM."""

    OPCODE = 0x02
    MNEMONIC = "dma.st2d"
    QUEUES = (Queue.DMA_OUT,)

    dram: int = _u(48)
    spm: int = _u(32)
    rows: int = _u(32)
    row_bytes: int = _u(32)
    pitch: int = _u(48)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatherRows(Command):
    """Loads row ``index[i]`` of a DRAM matrix to packed row ``i`` in SPM, for `count` rows.

    Row ``r`` is the `row_bytes` bytes at ``dram + r * pitch``. An index must be at least 0.
    """

    OPCODE = 0x03
    MNEMONIC = "dma.gather_rows"
    QUEUES = (Queue.DMA_IN,)

    dram: int = _u(48)
    spm: int = _u(32)
    index: int = _u(32)
    count: int = _u(24)
    row_bytes: int = _u(24)
    pitch: int = _u(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScatterRows(Command):
    """Stores packed row ``i`` in SPM to row ``index[i]`` of a DRAM matrix, for `count` rows.

    Indices are distinct.
    """

    OPCODE = 0x04
    MNEMONIC = "dma.scatter_rows"
    QUEUES = (Queue.DMA_OUT,)

    dram: int = _u(48)
    spm: int = _u(32)
    index: int = _u(32)
    count: int = _u(24)
    row_bytes: int = _u(24)
    pitch: int = _u(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatherColumns(Command):
    """Loads columns ``index[j]`` of `rows` rows of a DRAM matrix to a packed SPM matrix.

    SPM holds ``[rows, count]`` elements of `element_bytes`. Legal, and slow: each element is a
    DRAM burst of its own unless its neighbours are selected, too.
    """

    OPCODE = 0x05
    MNEMONIC = "dma.gather_cols"
    QUEUES = (Queue.DMA_IN,)

    dram: int = _u(48)
    spm: int = _u(32)
    index: int = _u(32)
    rows: int = _u(24)
    count: int = _u(16)
    element_bytes: int = _u(8)
    pitch: int = _u(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScatterColumns(Command):
    """Stores a packed SPM matrix ``[rows, count]`` to columns ``index[j]`` of a DRAM matrix."""

    OPCODE = 0x06
    MNEMONIC = "dma.scatter_cols"
    QUEUES = (Queue.DMA_OUT,)

    dram: int = _u(48)
    spm: int = _u(32)
    index: int = _u(32)
    rows: int = _u(24)
    count: int = _u(16)
    element_bytes: int = _u(8)
    pitch: int = _u(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gemm(Command):
    """Runs contraction `shape` (see `contraction`) on operands at SPM addresses `a`, `b`, `c`.

    `index` is `NO_LIST`, or a list that selects along the contraction's indexed dimension.
    With `accumulate` = 1 the sums start from what `c` holds, otherwise from zero.
    """

    OPCODE = 0x10
    MNEMONIC = "gemm"
    QUEUES = (Queue.TENSOR,)

    a: int = _u(32)
    b: int = _u(32)
    c: int = _u(32)
    shape: int = _u(32)
    index: int = _u(32, NO_LIST)
    accumulate: int = _u(8, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector(Command):
    """Runs micro-program `program` on the SPM operands listed in argument list `arguments`.

    `origin` is the number of the tile's first row in the whole operation; micro-programs that ask
    for an iteration index derive it from there.
    """

    OPCODE = 0x20
    MNEMONIC = "vec"
    QUEUES = (Queue.VECTOR,)

    program: int = _u(32)
    arguments: int = _u(32)
    origin: int = _u(32, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScatterAddRows(Command):
    """Adds f32 row ``i`` of `source` to row ``index[i] - first`` of `target`, for i in list order.

    Rows have `row_elements` elements. `target` holds rows ``first .. first + rows - 1`` of a table;
    list entries outside are skipped, so that a table can be worked on in tiles.
    """

    OPCODE = 0x21
    MNEMONIC = "vec.scatter_add_rows"
    QUEUES = (Queue.VECTOR,)

    target: int = _u(32)
    source: int = _u(32)
    index: int = _u(32)
    count: int = _u(24)
    row_elements: int = _u(24)
    first: int = _u(24)
    rows: int = _u(24)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamRows(Command):
    """Runs micro-program `program`, an optimizer with two states, on the fused row-update unit.

    Operands as in `Vector`. The unit is pipelined over the whole program: its time depends on the
    number of elements and not on the number of operations on each.
    """

    OPCODE = 0x28
    MNEMONIC = "opt.adam_rows"
    QUEUES = (Queue.VECTOR,)

    program: int = _u(32)
    arguments: int = _u(32)
    origin: int = _u(32, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SgdRows(Command):
    """As `AdamRows`, for an optimizer with one state or none."""

    OPCODE = 0x29
    MNEMONIC = "opt.sgd_rows"
    QUEUES = (Queue.VECTOR,)

    program: int = _u(32)
    arguments: int = _u(32)
    origin: int = _u(32, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccumulateScore(Command):
    """Adds |g| (`square` = 0) or g*g (`square` = 1) of f32 `gradient` to f32 `score`."""

    OPCODE = 0x30
    MNEMONIC = "idx.acc_score"
    QUEUES = (Queue.INDEX,)

    gradient: int = _u(32)
    score: int = _u(32)
    elements: int = _u(32)
    square: int = _u(8, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountRowsColumns(Command):
    """Counts elements of f32 `score` ``[rows, columns]`` above a threshold, per row or column.

    `threshold` is the bits of an f32. `counts` gets f32 counts: of each row (`by_column` = 0) or of
    each column (`by_column` = 1).
    """

    OPCODE = 0x31
    MNEMONIC = "idx.rowcol_count"
    QUEUES = (Queue.INDEX,)

    score: int = _u(32)
    counts: int = _u(32)
    rows: int = _u(24)
    columns: int = _u(24)
    threshold: int = _u(32)
    by_column: int = _u(8, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopK(Command):
    """Writes the positions of the `k` largest of `count` f32 `values`, ascending, to list `index`.

    Of equal values the one with the lower position wins.
    """

    OPCODE = 0x32
    MNEMONIC = "idx.topk"
    QUEUES = (Queue.INDEX,)

    values: int = _u(32)
    index: int = _u(32)
    count: int = _u(32)
    k: int = _u(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait(Command):
    """Does nothing but wait: for commands that depend on more than one queue."""

    OPCODE = 0x40
    MNEMONIC = "sem.wait"
    QUEUES = tuple(Queue)


@dataclass(frozen=True, slots=True, kw_only=True)
class Post(Command):
    """Adds `amount` to semaphore `semaphore` once all earlier commands of the queue are done."""

    OPCODE = 0x41
    MNEMONIC = "sem.post"
    QUEUES = tuple(Queue)

    semaphore: int = _u(8)
    amount: int = _u(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence(Command):
    """Holds the queue until all its earlier commands are complete."""

    OPCODE = 0x42
    MNEMONIC = "fence"
    QUEUES = tuple(Queue)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark(Command):
    """Says in traces that the queue has arrived at the source operation of its tag."""

    OPCODE = 0x43
    MNEMONIC = "mark"
    QUEUES = tuple(Queue)


COMMANDS: tuple[type[Command], ...] = (
    Load2D,
    Store2D,
    GatherRows,
    ScatterRows,
    GatherColumns,
    ScatterColumns,
    Gemm,
    Vector,
    ScatterAddRows,
    AdamRows,
    SgdRows,
    AccumulateScore,
    CountRowsColumns,
    TopK,
    Wait,
    Post,
    Fence,
    Mark,
)
"""Every command of the machine."""
