"""Which piece of a memory an address is in, when pieces use the same bytes at different times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ssft.hwmodel.isa import DramBuffer, SpmSlot

ALWAYS = np.iinfo(np.int64)


class Regions:
    """Pieces of a memory, each live from one operation of the program to another."""

    def __init__(self, pieces: Sequence[DramBuffer | SpmSlot]) -> None:
        self._numbers = np.array([i for i, p in enumerate(pieces) if p.bytes > 0], dtype=np.int64)
        kept = [pieces[i] for i in self._numbers]
        self._start = np.array([p.address for p in kept], dtype=np.int64)
        self._end = np.array([p.address + p.bytes for p in kept], dtype=np.int64)
        self._first = np.array(
            [ALWAYS.min if p.first is None else p.first for p in kept], dtype=np.int64
        )
        self._after = np.array(
            [ALWAYS.max if p.last is None else p.last + 1 for p in kept], dtype=np.int64
        )

    def find(self, tag: np.ndarray, address: np.ndarray) -> np.ndarray:
        """For each operation and address the number of the piece that is there then.

        -1 where there is none, and where there are several: nothing says whose the bytes are.
        """
        found = np.full(len(tag), -1, dtype=np.int64)
        if not len(tag) or not len(self._numbers):
            return found
        # Between two changes the same pieces are live; most programs never change DRAM's.
        changes = np.unique(np.concatenate([self._first, self._after]))
        epoch = np.searchsorted(changes, tag, side="right")
        born = np.argsort(self._first, kind="stable")
        order = np.argsort(epoch, kind="stable")
        epochs, starts = np.unique(epoch[order], return_index=True)
        begun = np.searchsorted(self._first[born], changes, side="right").tolist()
        live, known = born[:0], 0
        for now, mine in zip(epochs.tolist(), np.split(order, starts[1:]), strict=True):
            if not now:
                continue
            live = np.concatenate([live, born[known : begun[now - 1]]])
            known = begun[now - 1]
            live = live[self._after[live] > changes[now - 1]]
            found[mine] = self._among(live, address[mine])
        return found

    def _among(self, live: np.ndarray, address: np.ndarray) -> np.ndarray:
        """The number of the only piece among `live` that holds each address, or -1."""
        if not len(live):
            return np.full(len(address), -1, dtype=np.int64)
        live = live[np.argsort(self._start[live], kind="stable")]
        begun = np.searchsorted(self._start[live], address, side="right")
        ended = np.searchsorted(np.sort(self._end[live]), address, side="right")
        holder = live[np.maximum(begun - 1, 0)]
        inside = (begun > 0) & (address < self._end[holder])
        alone = begun - ended == 1
        # Where pieces overlap, the nearest before the address need not be the one that holds it.
        for i in np.flatnonzero(alone & ~inside).tolist():
            at = (self._start[live] <= address[i]) & (address[i] < self._end[live])
            holder[i] = live[at][0]
        return np.where(alone, self._numbers[holder], -1)
