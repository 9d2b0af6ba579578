"""The report of a parallel step as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ssft.compiler.cost_model.parallel.costs import ParallelCosts, RankCosts
from ssft.compiler.cost_model.parallel.layout import DIMENSIONS
from ssft.compiler.cost_model.parallel.links import Link, link_of
from ssft.compiler.cost_model.parallel.traffic import Transfer, seconds, sent


@dataclass(frozen=True)
class Cluster:
    """What the ranks are: their links, nearest first, and the operations per second of each."""

    links: tuple[Link, ...] = ()
    flops: float | None = None


def parallel_report(costs: ParallelCosts, cluster: Cluster) -> dict[str, Any]:
    """Returns the costs of a step by rank.

    ``memory_bytes`` is of the rank that needs the most, ``sent_bytes`` and ``transfers`` of the one
    that sends the most, a step; ``per_rank`` has every pipeline stage and tensor-parallel rank,
    ``all_ranks`` sums over all. Seconds are there as far as links and operations per second are
    known: communication is the sum over the transfers, none hidden behind computing.
    """
    busiest = costs.busiest
    memory, total = _rounded(costs.fullest.memory), round(costs.fullest.total)
    return {
        "layout": asdict(costs.layout),
        "ranks": costs.layout.ranks,
        "memory_bytes": memory | {"total": total},
        "sent_bytes": _sent(busiest),
        "transfers": [_transfer(each, costs, cluster) for each in busiest.transfers],
        "seconds": _seconds(costs, cluster),
        "flops_per_byte_sent": _per_byte(busiest),
        "pipeline_bubble": costs.layout.bubble,
        "per_rank": [_rank(rank) for rank in costs.ranks],
        "all_ranks": {
            "memory_bytes": round(costs.layout.data * sum(rank.total for rank in costs.ranks)),
            "sent_bytes": round(costs.sent_by_all),
        },
    }


def _rank(rank: RankCosts) -> dict[str, Any]:
    return {
        "stage": rank.stage,
        "tensor_rank": rank.tensor_rank,
        "memory_bytes": _rounded(rank.memory) | {"total": round(rank.total)},
        "sent_bytes": _sent(rank)["total"],
        "flops": round(rank.flops.total),
    }


def _sent(rank: RankCosts) -> dict[str, Any]:
    purposes = dict.fromkeys(transfer.purpose for transfer in rank.transfers)
    return {
        "by_purpose": {key: round(sent(rank.transfers, purpose=key)) for key in purposes},
        "by_group": {key: round(sent(rank.transfers, dimension=key)) for key in DIMENSIONS},
        "total": round(rank.sent),
    }


def _transfer(each: Transfer, costs: ParallelCosts, cluster: Cluster) -> dict[str, Any]:
    link = link_of(cluster.links, costs.layout, each.dimension)
    entry = asdict(each) | {"size": round(each.size), "sent_bytes": round(each.sent)}
    entry["link"] = link.name if link else None
    entry["seconds"] = each.sent / link.bandwidth if link else None
    return entry


def _seconds(costs: ParallelCosts, cluster: Cluster) -> dict[str, Any]:
    """Communication is of the rank whose transfers take the longest."""
    links, layout = cluster.links, costs.layout
    times = [seconds(rank.transfers, layout, links) for rank in costs.ranks]
    communication = max((time for time in times if time is not None), default=None)
    computing = costs.compute_seconds(cluster.flops) if cluster.flops else None
    ratio = None
    if computing is not None and communication:
        ratio = computing / communication
    return {
        "communication": communication,
        "by_link": _by_link(costs, links),
        "computing": computing,
        "computing_over_communication": ratio,
    }


def _by_link(costs: ParallelCosts, links: Sequence[Link]) -> dict[str, dict[str, float]]:
    """Bytes sent and seconds of each link class, of the busiest rank."""
    found = {link.name: {"sent_bytes": 0.0, "seconds": 0.0} for link in links}
    for each in costs.busiest.transfers:
        if link := link_of(links, costs.layout, each.dimension):
            found[link.name]["sent_bytes"] += each.sent
            found[link.name]["seconds"] += each.sent / link.bandwidth
    return found


def _per_byte(rank: RankCosts) -> float | None:
    return rank.flops.total / rank.sent if rank.sent else None


def _rounded(values: dict[str, float]) -> dict[str, int]:
    return {key: round(value) for key, value in values.items()}
