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
    there: list[float] = []  # when each load is complete
    done: list[float] = []  # when each product is
    kept: list[float] = []  # when each store is
    # Of the transfer that flows in each direction, what is left; otherwise when the next one may.
    incoming = outgoing = now = 0.0
    next_in = next_out = float(issue)
    while True:
        while len(done) < len(products):
            product = products[len(done)]
            if product.loads > len(there) or product.stores > len(kept):
                break
            start = done[-1] + issue if done else float(issue)
            loaded = there[product.loads - 1] if product.loads else 0.0
            free = kept[product.stores - 1] if product.stores else 0.0
            done.append(max(start, loaded, free) + product.cycles)
        if len(kept) == len(stores) and len(done) == len(products):
            return max(done[-1], kept[-1] if kept else 0.0)
        upcoming = NEVER
        if not incoming and len(there) < len(loads):
            load = loads[len(there)]
            if load.products <= len(done):
                start = max(next_in, done[load.products - 1] if load.products else 0.0)
                if start <= now:
                    incoming = float(load.cycles)
                else:
                    upcoming = start
        if not outgoing and len(kept) < len(stores):
            store = stores[len(kept)]
            if store.product < len(done):
                start = max(next_out, done[store.product] + store.delay)
                if start <= now:
                    outgoing = float(store.cycles)
                else:
                    upcoming = min(upcoming, start)
        flowing = 2 if incoming and outgoing else 1
        if incoming:
            upcoming = min(upcoming, now + incoming * flowing)
        if outgoing:
            upcoming = min(upcoming, now + outgoing * flowing)
        assert upcoming < NEVER, "commands wait for each other in a circle"
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
                kept.append(now + latency)
