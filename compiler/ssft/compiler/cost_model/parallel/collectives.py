"""Bytes that each rank sends in a collective operation, by the bandwidth-optimal ring algorithms.

With p ranks and n bytes, the tensor is cut into p chunks. In p - 1 rounds every rank passes one
chunk on: that is a reduce-scatter or an all-gather, (p - 1)n / p bytes sent and as many received;
an all-reduce is one after the other (Patarasuk and Yuan, J. Parallel Distrib. Comput. 69, 2009; the
count of ZeRO, arXiv 1910.02054, section 7.1). Chunks that differ in size leave the sum over the
ranks as it is, so the functions return each rank's mean. Tests run the algorithms on arrays and
count.
"""

from __future__ import annotations

from collections.abc import Callable


def reduce_scatter(size: float, ranks: int) -> float:
    """Every rank has `size` bytes of addends and ends with its share of the sum."""
    return size * (ranks - 1) / ranks


def all_gather(size: float, ranks: int) -> float:
    """Every rank has a share of `size` bytes and ends with all of them."""
    return size * (ranks - 1) / ranks


def all_reduce(size: float, ranks: int) -> float:
    """Every rank has `size` bytes of addends and ends with all of the sum."""
    return reduce_scatter(size, ranks) + all_gather(size, ranks)


def broadcast(size: float, ranks: int) -> float:
    """One rank has `size` bytes and all end with them: a chain, whose last rank sends nothing."""
    return size * (ranks - 1) / ranks


def all_to_all(size: float, ranks: int) -> float:
    """Every rank has `size` bytes, of which an equal part goes to each; its own part stays."""
    return size * (ranks - 1) / ranks


def point_to_point(size: float, ranks: int = 2) -> float:
    """One rank sends `size` bytes to another one; nothing is sent if there is none."""
    return size if ranks > 1 else 0.0


COLLECTIVES: dict[str, Callable[[float, int], float]] = {
    "all-reduce": all_reduce,
    "reduce-scatter": reduce_scatter,
    "all-gather": all_gather,
    "broadcast": broadcast,
    "all-to-all": all_to_all,
    "point-to-point": point_to_point,
}
"""By name: mean bytes sent by a rank, from bytes and number of ranks."""
