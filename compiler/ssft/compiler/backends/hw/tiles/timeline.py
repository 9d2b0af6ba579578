"""When a product's commands are done if nothing else runs: transfers, products, stores in order.

The closed forms of `space` rank tilings of equal tiles, of which one looks like the other. Where
tiles differ, which of them waits for what has to be followed command by command.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

NEVER = float("inf")


class Product(NamedTuple):
    """A command of the tensor unit: its cycles, and how many of the loads it has to wait for."""

    cycles: int
    loads: int


class Result(NamedTuple):
    """A store: its cycles alone, the number of the product that completes what it stores, and
    cycles between the two."""

    cycles: int
    product: int
    delay: int


class _Transfers:
    """A DMA queue: what is left of the transfer that flows, and when the next one may start."""

    def __init__(self, issue: int) -> None:
        self._issue = issue
        self.at, self.ready = 0, float(issue)
        self.left: float | None = None

    def advance(self, cycles: float, now: float) -> bool:
        """Lets `cycles` of work flow until `now`; whether the transfer leaves."""
        if self.left is None:
            return False
        self.left -= cycles
        if self.left > 1e-6:
            return False
        self.left = None
        self.at, self.ready = self.at + 1, now + self._issue
        return True


def finish(
    loads: Sequence[int],
    products: Sequence[Product],
    stores: Sequence[Result],
    issue: int,
    latency: int,
) -> float:
    """The cycle in which the last command is complete.

    Each queue takes its commands in the order given. Loads wait for nothing: there is room for all
    that they bring. Cycles are those of a command alone, without its issue; loads and stores share
    the bandwidth while both flow, and are visible `latency` after their bytes.
    """
    there: list[float] = []  # when each load is complete
    done: list[float] = []  # when each product is
    incoming, outgoing = _Transfers(issue), _Transfers(issue)
    now = 0.0
    while True:
        while len(done) < len(products) and products[len(done)].loads <= len(there):
            cycles, needed = products[len(done)]
            start = done[-1] + issue if done else float(issue)
            done.append(max(start, there[needed - 1] if needed else 0.0) + cycles)
        start_in = incoming.ready if incoming.at < len(loads) else NEVER
        start_out = NEVER
        if outgoing.at < len(stores) and stores[outgoing.at].product < len(done):
            store = stores[outgoing.at]
            start_out = max(outgoing.ready, done[store.product] + store.delay)
        if incoming.left is None and start_in <= now:
            incoming.left = float(loads[incoming.at])
        if outgoing.left is None and start_out <= now:
            outgoing.left = float(stores[outgoing.at].cycles)
        flowing = (incoming.left is not None) + (outgoing.left is not None)
        upcoming = min(
            start_in if incoming.left is None else now + incoming.left * flowing,
            start_out if outgoing.left is None else now + outgoing.left * flowing,
        )
        if upcoming == NEVER:
            return max(done[-1], now + latency if stores else 0.0)
        share = (upcoming - now) / max(flowing, 1)
        now = upcoming
        if incoming.advance(share, now):
            there.append(now + latency)
        outgoing.advance(share, now)
