"""Bytes that commands move, by what the tensors are for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from ssft.hwmodel.isa import DramBuffer, Program, SpmSlot
from ssft.hwmodel.isa.program import PURPOSES
from ssft.hwmodel.timing.events import Simulation
from ssft.hwmodel.timing.regions import Regions
from ssft.hwmodel.timing.scratchpad import operand_bytes
from ssft.hwmodel.timing.sums import sums_by

NO_PURPOSE = "none"
"""The purpose of traffic to addresses that belong to no buffer or slot, or to several at a time."""
_NAMES = (*PURPOSES, NO_PURPOSE)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes of one memory in one direction; the arrays have one entry for each access.

    `command` is the command that makes it, `piece` the buffer or slot that its address is in (-1:
    none, or several), a position in `pieces`.
    """

    pieces: Sequence[DramBuffer | SpmSlot]
    command: np.ndarray
    piece: np.ndarray
    bytes: np.ndarray

    def by_piece(self) -> list[int]:
        """Bytes of each buffer or slot, and last of none."""
        return sums_by(self.bytes, self.piece, len(self.pieces) + 1)

    def by_purpose(self) -> dict[str, int]:
        """Bytes of each purpose; `NO_PURPOSE` is there only if there are any."""
        (found,) = self.by_key_and_purpose(np.zeros(self.command.max(initial=-1) + 1, np.int64), 1)
        return found

    def by_key_and_purpose(self, key: np.ndarray, size: int) -> list[dict[str, int]]:
        """As `by_purpose`, for the commands of each key 0 to ``size - 1``; `key` is by command."""
        purposes = [_NAMES.index(piece.purpose) for piece in self.pieces]
        of_piece = np.array([*purposes, len(PURPOSES)], dtype=np.int64)
        keys = key[self.command] * len(_NAMES) + of_piece[self.piece]
        sums = np.reshape(sums_by(self.bytes, keys, size * len(_NAMES)), (size, len(_NAMES)))
        return [_named(row) for row in sums.tolist()]


def _named(row: list[int]) -> dict[str, int]:
    found: dict[str, int] = dict(zip(_NAMES, row, strict=True))
    if not found[NO_PURPOSE]:
        del found[NO_PURPOSE]
    return found


def buffers_of(simulation: Simulation) -> np.ndarray:
    """For each command the number of the DRAM buffer that its address is in, or -1."""
    addresses = [getattr(command, "dram", -1) for command in simulation.stream.commands]
    found = Regions(simulation.program.dram).find
    return found(simulation.stream.tag, np.array(addresses, dtype=np.int64))


def scratchpad_traffic(simulation: Simulation) -> dict[str, Traffic]:
    """What commands read from and write to slots, as ``read`` and ``written``.

    An operand is in the slot that its address is in while the command's operation runs.
    """
    program, stream = simulation.program, simulation.stream
    order = np.argsort(stream.shape, kind="stable")
    parts = np.split(order, np.searchsorted(stream.shape[order], np.arange(1, len(stream.shapes))))
    commands, addresses, read, written = [order[:0]], [order[:0]], [order[:0]], [order[:0]]
    for shape, mine in zip(stream.shapes, parts, strict=False):
        members = [stream.commands[i] for i in mine.tolist()]
        for operand in operand_bytes(program, simulation.machine, shape):
            commands.append(mine)
            addresses.append(_addresses(program, members, operand.operand))
            read.append(np.full(len(mine), operand.read, dtype=np.int64))
            written.append(np.full(len(mine), operand.written, dtype=np.int64))
    command = np.concatenate(commands)
    slot = Regions(program.spm).find(stream.tag[command], np.concatenate(addresses))
    return {
        way: Traffic(program.spm, command, slot, np.concatenate(moved))
        for way, moved in (("read", read), ("written", written))
    }


def _addresses(program: Program, commands: list, operand: str | int) -> np.ndarray:
    """Where an operand of each command starts; -1 where the program does not say."""
    if isinstance(operand, str):
        found = map(attrgetter(operand), commands)
    else:
        column = [found[operand] if operand < len(found) else -1 for found in program.arguments]
        count = len(column)
        found = (column[c.arguments] if c.arguments < count else -1 for c in commands)
    return np.fromiter(found, dtype=np.int64, count=len(commands))
