"""How many bytes a DMA command moves, and at which part of the peak bandwidth.

DRAM is read and written in bursts, so a run of bytes moves in whole bursts. How fast bursts go
depends on the order of their addresses: `Dram.efficiency` has curves of it, measured with DRAMsim3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from ssft.hwmodel.config.curves import interpolate

if TYPE_CHECKING:
    from ssft.hwmodel.config.schema import Dram, Machine


@dataclass(frozen=True, slots=True)
class Transfer:
    """A DMA command's traffic. `efficiency` is that of the moved bytes, of the peak bandwidth.

    `moved_bytes` are whole bursts, `useful_bytes` what was asked for; `activates` are DRAM pages
    opened.
    """

    useful_bytes: int
    moved_bytes: int
    bursts: int
    activates: int
    efficiency: float


def strided(dram: Dram, rows: int, row_bytes: int, pitch: int) -> Transfer:
    """`rows` runs of `row_bytes` bytes, `pitch` bytes apart: a 2-D copy.

    With a pitch of a page or less, the pages of all channels are visited in turn. With a greater
    one, runs are taken to lie on channels as at random, as behind an address hash: without one, a
    pitch of a power of two leaves most channels idle.
    """
    if rows > 1 and pitch == row_bytes:
        return strided(dram, 1, rows * row_bytes, rows * row_bytes)
    lines = -(-row_bytes // dram.burst_bytes)
    bursts = rows * lines
    efficiency = interpolate(dram.efficiency.rows, lines * dram.burst_bytes)
    activates = rows * -(-row_bytes // dram.page_bytes)
    if rows > 1 and row_bytes < pitch <= dram.page_bytes:
        # Runs share pages and perhaps bursts.
        span = (rows - 1) * pitch + row_bytes
        bursts = min(bursts, -(-span // dram.burst_bytes))
        activates = min(activates, -(-span // dram.page_bytes))
        per_page = min(lines * dram.page_bytes / pitch, dram.page_bytes / dram.burst_bytes)
        efficiency = max(efficiency, interpolate(dram.efficiency.strided, per_page))
    return _transfer(dram, rows * row_bytes, bursts, activates, efficiency)


def gather_rows(dram: Dram, count: int, row_bytes: int, *, ascending: bool = True) -> Transfer:
    """`count` rows of `row_bytes` bytes, anywhere: a row gather or scatter.

    `ascending`: whether the list of rows ascends, as a mask's does; that of token numbers does not.
    """
    lines = -(-row_bytes // dram.burst_bytes)
    curve = dram.efficiency.rows if ascending else dram.efficiency.rows_unsorted
    activates = count * -(-row_bytes // dram.page_bytes)
    efficiency = interpolate(curve, lines * dram.burst_bytes)
    return _transfer(dram, count * row_bytes, count * lines, activates, efficiency)


def gather_columns(dram: Dram, rows: int, count: int, element_bytes: int, pitch: int) -> Transfer:
    """`count` columns of each of `rows` rows, which lie `pitch` bytes apart without gaps.

    Bursts and pages touched are those expected of columns chosen at random.
    """
    useful = rows * count * element_bytes
    if not useful:
        return _transfer(dram, 0, 0, 0, 1.0)
    columns = max(pitch // element_bytes, count)
    burst, page = dram.burst_bytes, dram.page_bytes
    density = touched(columns, count, max(1, burst // element_bytes))
    bursts = max(math.ceil(-(-rows * pitch // burst) * density), -(-useful // burst))
    page_density = touched(columns, count, max(1, page // element_bytes))
    pages = min(bursts, math.ceil(-(-rows * pitch // page) * page_density))
    efficiency = interpolate(dram.efficiency.page, bursts / pages)
    return _transfer(dram, useful, bursts, pages, efficiency)


@lru_cache(maxsize=1 << 14)
def touched(columns: int, count: int, block: int) -> float:
    """Probability that `block` neighbours among `columns` contain one of `count` chosen at random.

    1 - C(columns - block, count) / C(columns, count).
    """
    block = min(block, columns)
    if count > columns - block:
        return 1.0
    log = math.lgamma
    missed = (
        log(columns - block + 1)
        - log(columns - block - count + 1)
        - log(columns + 1)
        + log(columns - count + 1)
    )
    return -math.expm1(missed)


def transfer_cycles(machine: Machine, transfer: Transfer) -> int:
    """Cycles in which a transfer's bytes flow when it has the DRAM to itself; without latency."""
    if not transfer.moved_bytes:
        return 0
    rate = machine.dram.bandwidth * transfer.efficiency / machine.clock.frequency
    return math.ceil(transfer.moved_bytes / rate)


def latency_cycles(machine: Machine) -> int:
    """Cycles from the last byte's transfer to its visibility."""
    return math.ceil(machine.dram.latency * machine.clock.frequency)


def _transfer(dram: Dram, useful: int, bursts: int, activates: int, efficiency: float) -> Transfer:
    moved = bursts * dram.burst_bytes
    return Transfer(useful, moved, bursts, activates, min(efficiency, dram.efficiency.stream))
