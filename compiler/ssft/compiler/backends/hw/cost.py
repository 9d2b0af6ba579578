"""The compiler's own estimates: closed forms for what a command costs on a machine.

They rank choices and give list scheduling its durations. Results are in cycles of the machine's
clock, without the cycles that the command processor takes to issue a command and without the
latency of DRAM. Functions with array arguments broadcast.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import ParamSpec, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssft.hwmodel.config import Machine
from ssft.hwmodel.isa import MicroOp, MicroProgram

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
    """The lane tile with the fewest cycles for `batch` results of ``[m, n]``.

    Of equal ones that which reads operands least often.
    """
    return lane_tiles(machine)[int(_lane_work(machine, batch, m, n)[1])]


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
        return rows + (tiles - 1) * np.maximum(m, columns) + m + rows + columns - 2
    tiles = batch * ceil_divide(m, rows) * ceil_divide(n, columns)
    return tiles * np.maximum(k, rows) + rows + columns - 2


def _lane_work(
    machine: Machine,
    batch: ArrayLike,
    m: ArrayLike,
    n: ArrayLike,
    blocks: tuple[tuple[int, int], ...] | None = None,
) -> tuple[Integers, Integers]:
    """Cycles per step of `macs_per_lane` products with the best lane tile, and its number."""
    tensor = machine.tensor
    rows, columns = np.array(blocks or lane_tiles(machine), dtype=np.int64).T
    batch, m, n = (np.asarray(extent, dtype=np.int64)[..., None] for extent in (batch, m, n))
    tiles = batch * ceil_divide(m, rows) * ceil_divide(n, columns)
    work = ceil_divide(tiles, tensor.pes * tensor.lanes_per_pe) * rows * columns
    return work.min(axis=-1), work.argmin(axis=-1)


def interpolate(curve: tuple[tuple[float, float], ...], x: ArrayLike) -> Floats:
    """A machine's efficiency curve at `x`: linear in the logarithm, constant beyond its ends."""
    points = np.array(curve, dtype=np.float64)
    return np.interp(np.log(x), np.log(points[:, 0]), points[:, 1])


def transfer_cycles(
    machine: Machine, run_bytes: ArrayLike, useful_bytes: ArrayLike, *, ascending: bool = True
) -> Floats:
    """Cycles to move `useful_bytes` in runs of `run_bytes`, alone and not rounded.

    Runs are rounded up to whole bursts. `ascending` says whether their addresses are.
    """
    dram = machine.dram
    run = np.asarray(run_bytes, dtype=np.float64)
    moved = np.ceil(run / dram.burst_bytes) * dram.burst_bytes
    curve = dram.efficiency.rows if ascending else dram.efficiency.rows_unsorted
    rate = dram.bandwidth / machine.clock.frequency * interpolate(curve, moved)
    return np.asarray(useful_bytes) / run * moved / rate


def rows_cycles(
    machine: Machine, rows: int, row_bytes: int, pitch: int, *, ascending: bool = True
) -> int:
    """Cycles of `Load2D`, `Store2D` (of all of it), `GatherRows` and `ScatterRows`.

    Rows without gaps are one run. Zero bytes take no cycles.
    """
    if rows <= 0 or row_bytes <= 0:
        return 0
    run = rows * row_bytes if rows == 1 or pitch == row_bytes else row_bytes
    return math.ceil(transfer_cycles(machine, run, rows * row_bytes, ascending=ascending))


def columns_cycles(machine: Machine, rows: int, count: int, element_bytes: int, pitch: int) -> int:
    """Cycles of `GatherColumns` and `ScatterColumns`, for columns that are spread evenly."""
    if rows <= 0 or count <= 0:
        return 0
    dram = machine.dram
    bursts = min(count * -(-element_bytes // dram.burst_bytes), -(-pitch // dram.burst_bytes))
    in_page = max(1.0, bursts * min(1.0, dram.page_bytes / pitch))
    rate = dram.bandwidth / machine.clock.frequency
    efficiency = float(interpolate(dram.efficiency.page, in_page))
    return math.ceil(rows * bursts * dram.burst_bytes / (rate * efficiency))


def latency_cycles(machine: Machine) -> int:
    """Cycles from the last byte's transfer until others see it."""
    return math.ceil(machine.dram.latency * machine.clock.frequency)


def vector_cycles(machine: Machine, program: MicroProgram) -> int:
    """Cycles of a `Vector` command."""
    vector = machine.vector
    total = vector.startup_cycles
    for nest in program.nests:
        slots = sum(_slots(machine, operation) for operation in nest.code)
        steps = -(-math.prod(nest.extents) // vector.lanes)
        total += steps * max(1, -(-slots // vector.alus_per_lane))
    return total


def _slots(machine: Machine, operation: MicroOp) -> int:
    if operation.name in FREE:
        return 0
    vector = machine.vector
    cost = 1
    if operation.name in SPECIAL:
        cost = vector.special_cost
    elif operation.name in DIVIDE:
        cost = vector.divide_cost
    return cost * vector.wide_cost if operation.dtype in WIDE else cost


def update_cycles(machine: Machine, elements: int) -> int:
    """Cycles of `AdamRows` and `SgdRows` on a tile whose largest operand has `elements`."""
    return machine.update.startup_cycles + -(-elements // machine.update.lanes)


def index_cycles(machine: Machine, elements: int) -> int:
    """Cycles of an index command that scans `elements` once."""
    return machine.index.startup_cycles + -(-elements // machine.index.lanes)
