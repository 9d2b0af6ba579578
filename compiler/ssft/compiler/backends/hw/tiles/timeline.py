"""When a product's commands are done if nothing else runs: transfers, products, stores in order.

The closed forms of `space` rank tilings of equal tiles, of which one looks like the other. Where
tiles differ, which of them waits for what has to be followed command by command.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

NEVER = float("inf")
LEAST = 1e-6
"""Cycles that are nothing but rounding."""


class Load(NamedTuple):
    """A load: its cycles alone, and how many products have to be done before there is room."""

    cycles: int
    products: int = 0


class Product(NamedTuple):
    """A command of the tensor unit: its cycles, and how many loads and stores it has to wait for.

    It waits for those as a reader of what is loaded, and as the next one to use a result's room.
    """

    cycles: int
    loads: int
    stores: int = 0


class Result(NamedTuple):
    """A store: its cycles alone, the number of the product that completes what it stores, and
    cycles between the two."""

    cycles: int
    product: int
    delay: int = 0


class _Direction:
    """Loads or stores: when each that is over is visible, and what is left of the one in flow."""

    def __init__(self, issue: int, latency: int) -> None:
        self._issue, self._latency = issue, latency
        self._next = float(issue)
        self.left = 0.0
        self.visible: list[float] = []

    def begin(self, cycles: int, ready: float, now: float) -> float:
        """Lets a transfer flow that nothing keeps waiting; otherwise says when it may."""
        start = max(self._next, ready)
        if start > now:
            return start
        self.left = float(cycles)
        return NEVER

    def flow(self, cycles: float, now: float) -> None:
        """Moves what flows on by some cycles of the whole bandwidth, until now."""
        if self.left:
            self.left -= cycles
            if self.left < LEAST:
                self.left, self._next = 0.0, now + self._issue
                self.visible.append(now + self._latency)


def finish(
    loads: Sequence[Load],
    products: Sequence[Product],
    stores: Sequence[Result],
    issue: int,
    latency: int,
) -> float:
    """The cycle in which the last command is complete.

    Each queue takes its commands in the order given. Cycles are those of a command alone, without
    its issue; loads and stores share the bandwidth while both flow, and are visible `latency` after
    their bytes.
    """
    loaded, stored = _Direction(issue, latency), _Direction(issue, latency)
    there, kept = loaded.visible, stored.visible
    done: list[float] = []  # when each product is
    now = 0.0
    while True:
        while len(done) < len(products):
            product = products[len(done)]
            if product.loads > len(there) or product.stores > len(kept):
                break
            start = done[-1] + issue if done else float(issue)
            ready = there[product.loads - 1] if product.loads else 0.0
            free = kept[product.stores - 1] if product.stores else 0.0
            done.append(max(start, ready, free) + product.cycles)
        if len(kept) == len(stores) and len(done) == len(products):
            return max(done[-1], kept[-1] if kept else 0.0)
        upcoming = NEVER
        if not loaded.left and len(there) < len(loads):
            load = loads[len(there)]
            if load.products <= len(done):
                free = done[load.products - 1] if load.products else 0.0
                upcoming = loaded.begin(load.cycles, free, now)
        if not stored.left and len(kept) < len(stores):
            store = stores[len(kept)]
            if store.product < len(done):
                ready = done[store.product] + store.delay
                upcoming = min(upcoming, stored.begin(store.cycles, ready, now))
        flowing = [one.left for one in (loaded, stored) if one.left]
        upcoming = min(upcoming, *(now + left * len(flowing) for left in flowing), NEVER)
        assert upcoming < NEVER, "commands wait for each other in a circle"
        share = (upcoming - now) / max(len(flowing), 1)
        now = upcoming
        loaded.flow(share, now)
        stored.flow(share, now)
