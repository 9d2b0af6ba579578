"""Pieces of the scratchpad that a kernel asks for."""

from __future__ import annotations

from dataclasses import dataclass

from ssft.compiler.backends.hw.views import Buffer


@dataclass(frozen=True, slots=True)
class SlotRequest:
    """`buffers` pieces of `bytes` bytes each, next to each other, for tiles of `owner` in turn.

    The slot is called `label`, or like its owner.
    """

    owner: Buffer
    bytes: int
    buffers: int = 1
    label: str = ""

    @property
    def name(self) -> str:
        """What memory maps call the slot."""
        return self.label or self.owner.name

    @property
    def total(self) -> int:
        """Bytes of all pieces."""
        return self.bytes * self.buffers


def padded(size: int) -> int:
    """`size` bytes in whole units of alignment, at least one."""
    return -(-max(size, 1) // 64) * 64
