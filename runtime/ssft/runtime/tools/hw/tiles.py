"""How a program cuts its matrix products, read from its commands."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ssft.hwmodel.isa import (
    GatherColumns,
    Gemm,
    Load2D,
    Program,
    Queue,
    ScatterColumns,
    Store2D,
)
from ssft.hwmodel.timing.durations import command_cycles, transfer

if TYPE_CHECKING:
    from ssft.hwmodel.config import Machine


@dataclass(slots=True)
class Tiling:
    """The tiles of one or more equal contractions. `cycles` are the tensor unit's, of each.

    `tile` are the extents (batch, m, n, k) of most of its commands; `sums` says into how many parts
    sums are cut; `gathered` that operands are picked by a list.
    """

    names: list[str]
    phase: str
    macs: int
    commands: int
    tile: tuple[int, int, int, int]
    lane_tile: tuple[int, int]
    sums: int
    gathered: bool
    cycles: int
    key: tuple[object, ...] = field(default=())


def tilings(program: Program, machine: Machine, *, merge: bool = True) -> list[Tiling]:
    """The tiles of each contraction in program order; equal ones together if `merge`."""
    by_tag: dict[int, list[Gemm]] = {}
    for command in program.queues[Queue.TENSOR]:
        if isinstance(command, Gemm):
            by_tag.setdefault(command.tag, []).append(command)
    found: dict[object, Tiling] = {}
    for tag, commands in sorted(by_tag.items()):
        made = _tiling(program, machine, tag, commands)
        key: object = made.key if merge else tag
        if key in found:
            found[key].names += made.names
        else:
            found[key] = made
    return list(found.values())


def _tiling(program: Program, machine: Machine, tag: int, commands: list[Gemm]) -> Tiling:
    known = tag < len(program.operations)
    name = program.operations[tag].name if known else f"tag {tag}"
    phase = program.operations[tag].phase if known else "forward"
    shapes = Counter(command.shape for command in commands)
    most = program.contractions[shapes.most_common(1)[0][0]]
    tile = (most.extent("batch"), most.extent("m"), most.extent("n"), most.extent("k"))
    started = sum(1 for command in commands if not command.accumulate)
    macs = sum(program.contractions[shape].macs * count for shape, count in shapes.items())
    cycles = sum(command_cycles(program, machine, command, phase) for command in commands)
    gathered = most.indexed is not None
    sums = -(-len(commands) // max(started, 1))
    key = (phase, macs, len(commands), tile, most.lane_tile, sums, gathered)
    return Tiling([name], phase, macs, len(commands), tile, most.lane_tile, sums, gathered, cycles,
                  key)  # fmt: skip


WASTE = 2
"""A transfer is warned of if it moves this many times the bytes that it is asked for."""

SHORT_RUNS = 8
"""Fewer rows than this are not worth a warning."""


@dataclass(slots=True)
class ColumnTransfer:
    """Transfers of one source operation that move single elements or short runs.

    `gathers` says whether columns are looked up in a list; `commands`, and the bytes asked for and
    moved in whole bursts.
    """

    name: str
    location: str
    gathers: bool
    commands: int = 0
    useful: int = 0
    moved: int = 0


def column_transfers(program: Program, machine: Machine) -> list[ColumnTransfer]:
    """Where columns of a row-major matrix are moved, most bytes first."""
    found: dict[tuple[int, bool], ColumnTransfer] = {}
    for queue in (Queue.DMA_IN, Queue.DMA_OUT):
        for command in program.queues[queue]:
            gathers = isinstance(command, GatherColumns | ScatterColumns)
            short = isinstance(command, Load2D | Store2D) and command.rows >= SHORT_RUNS
            if not gathers and not short:
                continue
            traffic = transfer(machine, command)
            if not gathers and traffic.moved_bytes < WASTE * traffic.useful_bytes:
                continue
            known = command.tag < len(program.operations)
            op = program.operations[command.tag] if known else None
            name, location = (op.name, op.location) if op else (f"tag {command.tag}", "")
            entry = found.setdefault(
                (command.tag, gathers), ColumnTransfer(name, location, gathers)
            )
            entry.commands += 1
            entry.useful += traffic.useful_bytes
            entry.moved += traffic.moved_bytes
    return sorted(found.values(), key=lambda entry: -entry.moved)
