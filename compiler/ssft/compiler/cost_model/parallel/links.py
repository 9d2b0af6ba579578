"""The links between ranks: levels of bandwidth, from within a package to across the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ssft.compiler.cost_model.parallel.layout import Dimension, Layout
from ssft.compiler.diagnostics import UserError

_EXAMPLE = "e.g. nvlink=300e9:8,ib=25e9"


@dataclass(frozen=True)
class Link:
    """A class of links that joins each aligned run of `ranks` consecutive ranks; None: all.

    `bandwidth` is what one rank can send, bytes per second. Latency is not modelled.
    """

    name: str
    bandwidth: float
    ranks: int | None = None


def parse_links(text: str) -> tuple[Link, ...]:
    """Reads ``name=bytes per second[:ranks],…``, the nearest ranks' link first.

    Raises UserError for a bandwidth or number of ranks that is not positive, and unless each class
    joins more ranks than the one before it and the last one joins all.
    """
    links = tuple(_link(part) for part in text.split(","))
    reach = 1
    for link in links[:-1]:
        if link.ranks is None or link.ranks <= reach:
            raise UserError(
                f"link '{link.name}' must join more than {reach} ranks, and say how many",
                notes=[_EXAMPLE],
                exit_code=2,
            )
        reach = link.ranks
    if links[-1].ranks is not None:
        raise UserError(
            f"link '{links[-1].name}' must join all ranks, so it has no number of ranks",
            notes=[_EXAMPLE],
            exit_code=2,
        )
    return links


def _link(text: str) -> Link:
    name, equals, rest = text.strip().partition("=")
    bandwidth, colon, ranks = rest.partition(":")
    try:
        link = Link(name, float(bandwidth), int(ranks) if colon else None)
    except ValueError:
        link = Link("", 0.0)
    if not (name and equals and 0 < link.bandwidth < float("inf")):
        raise UserError(f"'{text}' is not a link and its bandwidth", notes=[_EXAMPLE], exit_code=2)
    return link


def link_of(links: Sequence[Link], layout: Layout, dimension: Dimension) -> Link | None:
    """Returns the class over which a kind of group communicates; None if no links are known.

    It is the nearest one that joins all the ranks among which a group lies, as a ring is as slow as
    its slowest link. Where runs of ranks and groups do not nest, some group crosses a border.
    """
    span = layout.span(dimension)
    for link in links:
        reach = layout.ranks if link.ranks is None else link.ranks
        if reach >= layout.ranks or (reach >= span and reach % span == 0):
            return link
    return None
