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
    # Of the transfer that flows in each direction, what is left; otherwise when the next one may.
    incoming = outgoing = 0.0
    next_in = next_out = float(issue)
    stored, now = 0, 0.0
    while True:
        while len(done) < len(products) and products[len(done)].loads <= len(there):
            cycles, needed = products[len(done)]
            start = done[-1] + issue if done else float(issue)
            done.append(max(start, there[needed - 1] if needed else 0.0) + cycles)
        if stored == len(stores) and len(done) == len(products):
            return max(done[-1], now + latency if stores else 0.0)
        upcoming = NEVER
        if not incoming and len(there) < len(loads):
            if next_in <= now:
                incoming = float(loads[len(there)])
            else:
                upcoming = next_in
        if not outgoing and stored < len(stores) and stores[stored].product < len(done):
            cycles, product, delay = stores[stored]
            start = max(next_out, done[product] + delay)
            if start <= now:
                outgoing = float(cycles)
            else:
                upcoming = min(upcoming, start)
        flowing = 2 if incoming and outgoing else 1
        if incoming:
            upcoming = min(upcoming, now + incoming * flowing)
        if outgoing:
            upcoming = min(upcoming, now + outgoing * flowing)
        share = (upcoming - now) / flowing
        now = upcoming
        if incoming:
            incoming -= share
            if incoming < LEAST:
                incoming, next_in = 0.0, now + issue
                there.append(now + latency)
        if outgoing:
            outgoing -= share
            if outgoing < LEAST:
                outgoing, next_out = 0.0, now + issue
                stored += 1
