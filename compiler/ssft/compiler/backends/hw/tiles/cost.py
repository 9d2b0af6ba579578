"""The compiler's own estimates: closed forms for what a command costs on a machine.

They rank choices and give list scheduling its durations. Results are in cycles of the machine's
clock, without the cycles that the command processor takes to issue a command and without the
latency of DRAM. Functions with array arguments broadcast.

The forms are those of the machine model (`ssft.hwmodel.timing`), which the compiler must not
import, because a real machine would have none; tests hold the two against each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import ParamSpec, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssft.hwmodel.config import Machine
from ssft.hwmodel.isa import MicroProgram, Nest

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SPECIAL = frozenset(
    {
        *("exp", "exp2", "expm1", "log", "log1p", "log2", "sin", "cos", "tan", "tanh", "erf"),
        *("powf", "fpowi"),
    }
)
"""Micro-operations that cost `vector.special_cost` slots."""
DIVIDE = frozenset({"divf", "remf", "sqrt", "rsqrt", "divsi", "divui", "remsi", "remui"})
"""Micro-operations that cost `vector.divide_cost` slots."""
FREE = frozenset({"constant", "index"})
WIDE = frozenset({"f64", "i64"})
ACCUMULATOR_BYTES = 4
LANE_SLACK = 1 / 16
TOP_K_PASSES = 5
"""A radix selection of 32-bit values, 8 bits a pass, and a pass that writes positions."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def memoized(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Remembers results by arguments, all of which must be immutable, as a `Machine` is."""
    return cast(Callable[Arguments, Result], lru_cache(maxsize=4096)(function))


def ceil_divide(a: ArrayLike, b: ArrayLike) -> Integers:
    """The quotient of positive integers, rounded up."""
    return -(-np.asarray(a) // np.asarray(b))


@memoized
def lane_tiles(machine: Machine) -> tuple[tuple[int, int], ...]:
    """The blocks that fit a lane's accumulators: powers of two, those with most reuse first.

    A lane reads ``rows + columns`` vectors for ``rows * columns`` results.
    """
    tensor = machine.tensor
    results = tensor.accumulator_bytes_per_pe // tensor.lanes_per_pe // ACCUMULATOR_BYTES
    powers = [1 << i for i in range(max(results, 1).bit_length())]
    fitting = [(m, n) for m in powers for n in powers if m * n <= max(results, 1)]
    return tuple(sorted(fitting, key=lambda t: ((t[0] + t[1]) / (t[0] * t[1]), t)))


@memoized
def lane_tile(machine: Machine, batch: int, m: int, n: int) -> tuple[int, int]:
    """The lane tile for `batch` results of ``[m, n]``.

    Of those that take at most `LANE_SLACK` more cycles than the fastest, it is the one that reads
    operands least often: reading the scratchpad costs as much energy as multiplying.
    """
    return lane_tiles(machine)[int(_lane_work(machine, batch, m, n)[1])]


def lane_reads(machine: Machine, batch: ArrayLike, m: ArrayLike, n: ArrayLike) -> Floats:
    """Vectors that a lane reads per result with the chosen lane tile: at most 2."""
    reads = np.array([(rows + columns) / (rows * columns) for rows, columns in lane_tiles(machine)])
    return reads[_lane_work(machine, batch, m, n)[1]]


def gemm_cycles(
    machine: Machine,
    batch: ArrayLike,
    m: ArrayLike,
    n: ArrayLike,
    k: ArrayLike,
    block: tuple[int, int] | None = None,
) -> Integers:
    """Cycles of a `Gemm` command of these extents.

    `block` is its lane tile, the best one if None; systolic engines do not look at it. The systolic
    forms are those of an array with two banks of weights, or of accumulators, per cell.
    """
    tensor = machine.tensor
    batch, m, n, k = (np.asarray(extent, dtype=np.int64) for extent in (batch, m, n, k))
    if tensor.engine == "dot_lanes":
        blocks = None if block is None else (block,)
        work = _lane_work(machine, batch, m, n, blocks)[0]
        return (
            tensor.fill_cycles + work * ceil_divide(k, tensor.macs_per_lane) + tensor.drain_cycles
        )
    rows, columns = tensor.rows or 1, tensor.columns or 1
    if tensor.engine == "systolic_ws":
        tiles = batch * ceil_divide(k, rows) * ceil_divide(n, columns)
        interval = np.maximum(m, max(rows, columns))
        return rows + (tiles - 1) * interval + m + rows + columns - 2
    folds = batch * ceil_divide(m, rows) * ceil_divide(n, columns)
    return (folds - 1) * np.maximum(k, rows) + k + 2 * rows + columns - 3


def _lane_work(
    machine: Machine,
    batch: ArrayLike,
    m: ArrayLike,
    n: ArrayLike,
    blocks: tuple[tuple[int, int], ...] | None = None,
) -> tuple[Integers, Integers]:
    """Cycles per step of `macs_per_lane` products with the chosen lane tile, and its number."""
    tensor = machine.tensor
    rows, columns = np.array(blocks or lane_tiles(machine), dtype=np.int64).T
    batch, m, n = (np.asarray(extent, dtype=np.int64)[..., None] for extent in (batch, m, n))
    tiles = batch * ceil_divide(m, rows) * ceil_divide(n, columns)
    work = ceil_divide(tiles, tensor.pes * tensor.lanes_per_pe) * rows * columns
    # They are in ascending order of reads: the first that is fast enough is the one.
    chosen = (work <= work.min(axis=-1, keepdims=True) * (1 + LANE_SLACK)).argmax(axis=-1)
    return np.take_along_axis(work, chosen[..., None], axis=-1)[..., 0], chosen


def interpolate(curve: tuple[tuple[float, float], ...], x: ArrayLike) -> Floats:
    """A machine's efficiency curve at `x`; ``x / efficiency`` is linear between its points."""
    points = np.array(curve, dtype=np.float64)
    x = np.clip(np.asarray(x, dtype=np.float64), points[0, 0], points[-1, 0])
    return x / np.interp(x, points[:, 0], points[:, 0] / points[:, 1])


def transfer_cycles(
    machine: Machine, run_bytes: ArrayLike, useful_bytes: ArrayLike, pitch: ArrayLike = np.inf
) -> Floats:
    """Cycles to move `useful_bytes` in runs of `run_bytes`, alone and not rounded.

    Runs are `pitch` bytes apart; infinity stands for far away. Runs are rounded up to whole bursts,
    which neighbours share where the pitch is small.
    """
    dram = machine.dram
    run, gap = np.asarray(run_bytes, dtype=np.float64), np.asarray(pitch, dtype=np.float64)
    bursts = np.ceil(run / dram.burst_bytes)
    efficiency = interpolate(dram.efficiency.rows, bursts * dram.burst_bytes)
    in_page = np.minimum(bursts / gap, 1 / dram.burst_bytes) * dram.page_bytes
    dense = np.maximum(efficiency, interpolate(dram.efficiency.strided, in_page))
    together = (run < gap) & (gap <= dram.page_bytes)
    efficiency = np.minimum(np.where(together, dense, efficiency), dram.efficiency.stream)
    moved = bursts * dram.burst_bytes
    moved = np.where(together, np.minimum(moved, gap), moved)
    return np.asarray(useful_bytes) / run * moved / (_bytes_per_cycle(machine) * efficiency)


def rows_cycles(machine: Machine, rows: int, row_bytes: int, pitch: int) -> int:
    """Cycles of `Load2D` and `Store2D`. Rows without gaps are one run; no bytes, no cycles."""
    if rows <= 0 or row_bytes <= 0:
        return 0
    size = rows * row_bytes
    if rows == 1 or pitch == row_bytes:
        return math.ceil(transfer_cycles(machine, size, size))
    return math.ceil(transfer_cycles(machine, row_bytes, size, pitch))


def gather_cycles(machine: Machine, count: int, row_bytes: int, *, ascending: bool = True) -> int:
    """Cycles of `GatherRows` and `ScatterRows`; `ascending` says whether the list is."""
    if count <= 0 or row_bytes <= 0:
        return 0
    dram = machine.dram
    moved = -(-row_bytes // dram.burst_bytes) * dram.burst_bytes
    curve = dram.efficiency.rows if ascending else dram.efficiency.rows_unsorted
    efficiency = min(float(interpolate(curve, moved)), dram.efficiency.stream)
    return math.ceil(count * moved / (_bytes_per_cycle(machine) * efficiency))


def columns_cycles(machine: Machine, rows: int, count: int, element_bytes: int, pitch: int) -> int:
    """Cycles of `GatherColumns` and `ScatterColumns`, for columns chosen at random."""
    if rows <= 0 or count <= 0:
        return 0
    dram = machine.dram
    columns = max(pitch // element_bytes, count)

    def touched(unit: int) -> int:
        """Of pieces of `unit` bytes, how many hold a chosen column: expected, without return."""
        size = max(1, unit // element_bytes)
        others = columns - size - count
        missed = 0.0
        if others >= 0:
            outside = math.lgamma(columns - size + 1) - math.lgamma(others + 1)
            missed = math.exp(outside - math.lgamma(columns + 1) + math.lgamma(columns - count + 1))
        return math.ceil(-(-rows * pitch // unit) * (1 - missed))

    bursts = max(touched(dram.burst_bytes), -(-rows * count * element_bytes // dram.burst_bytes))
    in_page = bursts / min(bursts, touched(dram.page_bytes))
    efficiency = min(float(interpolate(dram.efficiency.page, in_page)), dram.efficiency.stream)
    return math.ceil(bursts * dram.burst_bytes / (_bytes_per_cycle(machine) * efficiency))


def _bytes_per_cycle(machine: Machine) -> float:
    """Peak of the DRAM."""
    return machine.dram.bandwidth / machine.clock.frequency


def latency_cycles(machine: Machine) -> int:
    """Cycles from the last byte's transfer until others see it."""
    return math.ceil(machine.dram.latency * machine.clock.frequency)


def vector_cycles(machine: Machine, program: MicroProgram) -> int:
    """Cycles of a `Vector` command."""
    vector = machine.vector
    total = vector.startup_cycles
    for nest in program.nests:
        steps = -(-math.prod(nest.extents) // vector.lanes)
        total += steps * max(1, -(-_slots(machine, program, nest) // vector.alus_per_lane))
    return total


def _slots(machine: Machine, program: MicroProgram, nest: Nest) -> int:
    """Micro-operation slots of an iteration; 64-bit operands and results make operations wide."""
    vector, total = machine.vector, 0
    types = [program.slots[access.slot].dtype for access in (*nest.inputs, *nest.outputs)]
    for operation in nest.code:
        wide = operation.dtype in WIDE or any(types[r] in WIDE for r in operation.operands)
        types.append(operation.dtype)
        cost = 1
        if operation.name in FREE:
            cost = 0
        elif operation.name in SPECIAL:
            cost = vector.special_cost
        elif operation.name in DIVIDE:
            cost = vector.divide_cost
        total += cost * (vector.wide_cost if wide else 1)
    return total


def update_cycles(machine: Machine, elements: int) -> int:
    """Cycles of `AdamRows` and `SgdRows` on a tile whose largest operand has `elements`."""
    return machine.update.startup_cycles + -(-elements // machine.update.lanes)


def scatter_add_cycles(machine: Machine, count: int, row_elements: int) -> int:
    """Cycles of `ScatterAddRows`: rows are added one after the other."""
    vector = machine.vector
    return vector.startup_cycles + count * -(-row_elements // vector.lanes)


def index_cycles(machine: Machine, elements: int, passes: int = 1) -> int:
    """Cycles of an index command that scans `elements`; `TopK` takes `TOP_K_PASSES` passes."""
    return machine.index.startup_cycles + passes * -(-elements // machine.index.lanes)
