"""Ranks that pass arrays around a ring and count what they send."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest

Array = npt.NDArray[np.float64]


class Ring:
    """Collectives over `ranks` ranks as neighbours in a ring do them, one chunk a round.

    Rank r's arrays are at index r. `sent[r]` counts the bytes that rank r has sent.
    """

    def __init__(self, ranks: int) -> None:
        self.ranks = ranks
        self.sent = [0] * ranks

    def _pass(self, sender: int, data: Array) -> Array:
        self.sent[sender] += data.nbytes
        return data.copy()

    def _cut(self, data: Array) -> list[Array]:
        return [chunk.copy() for chunk in np.array_split(data.ravel(), self.ranks)]

    def reduce_scatter(self, addends: Sequence[Array]) -> list[Array]:
        """Rank r ends with chunk r of the sum, flat."""
        chunks = [self._cut(data) for data in addends]
        for turn in range(1, self.ranks):
            moved = []
            for rank in range(self.ranks):
                which = (rank - turn) % self.ranks
                moved.append((which, self._pass(rank, chunks[rank][which])))
            for rank, (which, data) in enumerate(moved):
                chunks[(rank + 1) % self.ranks][which] += data
        return [chunks[rank][rank] for rank in range(self.ranks)]

    def all_gather(self, chunks: Sequence[Array]) -> list[Array]:
        """All ranks end with all chunks, one after the other, flat."""
        held: list[dict[int, Array]] = [{rank: chunks[rank]} for rank in range(self.ranks)]
        for turn in range(self.ranks - 1):
            moved = []
            for rank in range(self.ranks):
                which = (rank - turn) % self.ranks
                moved.append((which, self._pass(rank, held[rank][which])))
            for rank, (which, data) in enumerate(moved):
                held[(rank + 1) % self.ranks][which] = data
        return [np.concatenate([own[i].ravel() for i in range(self.ranks)]) for own in held]

    def all_reduce(self, addends: Sequence[Array]) -> list[Array]:
        """All ranks end with the sum, in the addends' shape."""
        shape = addends[0].shape
        return [data.reshape(shape) for data in self.all_gather(self.reduce_scatter(addends))]

    def broadcast(self, data: Array) -> list[Array]:
        """All ranks end with rank 0's data, which every rank but the last one passes on."""
        held = [data]
        for rank in range(self.ranks - 1):
            held.append(self._pass(rank, held[rank]))
        return held

    def all_to_all(self, data: Sequence[Array]) -> list[Array]:
        """Rank r ends with chunk r of every rank."""
        chunks = [self._cut(each) for each in data]
        return [
            np.concatenate(
                [
                    chunks[sender][rank]
                    if sender == rank
                    else self._pass(sender, chunks[sender][rank])
                    for sender in range(self.ranks)
                ]
            )
            for rank in range(self.ranks)
        ]


@pytest.fixture(scope="session")
def make_ring() -> Callable[[int], Ring]:
    return Ring
