"""Which saved activations to compute again, in the order in which that pays.

Greedy, by bytes that need not be kept per scalar operation that is done again. What one value is
computed from is often computed again for another already; so what a value costs is known only
when it is its turn.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from ssft.compiler.analysis.flow import Flow
from ssft.compiler.checkpointing.layers import Layers
from ssft.compiler.checkpointing.recomputation import chain


def candidates(flow: Flow, layers: Layers) -> list[int]:
    """Saved activations that may be computed again: those within layers, if there are any.

    What the last part of the model saves (logits, the loss) is needed as soon as it is there.
    """
    found = [storage for storage in flow.saved() if storage not in layers.crossing]
    if not layers.segments:
        return found
    return [s for s in found if layers.segment_of(flow.producers[s]) is not None]


def by_bytes_per_operation(flow: Flow, layers: Layers) -> list[int]:
    """Returns the candidates in the order in which to give up keeping them."""
    search = _Search(flow, set(flow.saved()) | layers.crossing)
    heap = [(-search.worth(storage), storage) for storage in candidates(flow, layers)]
    heapq.heapify(heap)
    order = []
    while heap:
        _, storage = heapq.heappop(heap)
        worth = search.worth(storage)
        if heap and -worth > heap[0][0]:
            heapq.heappush(heap, (-worth, storage))
            continue
        search.drop(storage)
        order.append(storage)
    return order


@dataclass
class _Search:
    """What is kept, and what is done again by now."""

    flow: Flow
    kept: set[int]
    again: set[int] = field(default_factory=set)

    def worth(self, storage: int) -> float:
        """Bytes saved per scalar operation if `storage` is computed again, too."""
        work = sum(self.flow.ops[number].flops for number in self._chain(storage))
        return self.flow.sizes[storage] / (1 + work)

    def drop(self, storage: int) -> None:
        """Gives up keeping `storage`."""
        self.again |= self._chain(storage)
        self.kept.remove(storage)

    def _chain(self, storage: int) -> set[int]:
        return chain(self.flow, [storage], self.kept, self.again)
