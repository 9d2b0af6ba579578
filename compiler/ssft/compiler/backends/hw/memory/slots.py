"""Pieces of the scratchpad that a kernel asks for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SlotRequest:
    """`buffers` pieces of `bytes` bytes each, next to each other, for tiles of `name` in turn."""

    name: str
    bytes: int
    buffers: int = 1

    @property
    def total(self) -> int:
        """Bytes of all pieces."""
        return self.bytes * self.buffers


def padded(size: int) -> int:
    """`size` bytes in whole units of alignment, at least one."""
    return -(-max(size, 1) // 64) * 64
