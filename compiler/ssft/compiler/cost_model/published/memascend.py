"""MemAscend's host memory: what SSD offloading holds on the host, and what a static plan saves."""

from __future__ import annotations

from math import ceil, log2
from typing import Any

from ssft.compiler.cost_model.architecture import Architecture
from ssft.compiler.cost_model.config import named_architecture
from ssft.compiler.cost_model.published.comparison import Row, Table, build, load

NAME = "memascend"


def table() -> Table:
    """Returns the published reduction beside that of the named models, and their mean."""
    data = load(NAME)
    rows = []
    for name in data["models"]:
        shapes = named_architecture(name)
        before, after = sum(offloading(shapes, data).values()), sum(planned(shapes, data).values())
        more = {"before, GB": before / 1e9, "after, GB": after / 1e9}
        more |= {f"{key}, GB": value / 1e9 for key, value in offloading(shapes, data).items()}
        rows.append(Row(name, data["reduction"], 100 * (1 - after / before), False, more=more))
    mean = sum(row.computed for row in rows) / len(rows)
    return build(NAME, data, [*rows, Row("mean", data["reduction"], mean)])


def offloading(shapes: Architecture, data: dict[str, Any]) -> dict[str, float]:
    """Returns the host's bytes under ZeRO-Infinity by purpose.

    Every buffer of the pool is as large as the largest tensor, pinned memory comes in powers of
    two, and the overflow check makes an absolute copy and a mask of all gradients.
    """
    gradients = 4.0 * shapes.parameters
    largest = max(_tensors(shapes).values())
    pool = _power_of_two(data["buffers"] * largest)
    swap = data["swap_buffers"] * 4.0 * max(_elements(shapes))
    return {
        "gradients": _power_of_two(gradients),
        "overflow check": gradients * (1 + 1 / 4),
        "pool": pool,
        "swapping": _power_of_two(swap),
    }


def planned(shapes: Architecture, data: dict[str, Any]) -> dict[str, float]:
    """Returns the bytes of a static plan: buffers of the tensors' own sizes, nothing rounded."""
    return {
        "gradients": 4.0 * shapes.parameters,
        "pool": sum(_tensors(shapes).values()),
        "swapping": data["swap_buffers"] * 4.0 * max(_elements(shapes)),
    }


def _tensors(shapes: Architecture) -> dict[str, float]:
    """fp16 bytes of the tensors that are in flight at once: those of a layer, and the embedding."""
    found = {linear.name: 2.0 * linear.weights for linear in shapes.linears()}
    return found | {"embedding": 2.0 * shapes.vocabulary * shapes.hidden}


def _elements(shapes: Architecture) -> list[float]:
    return [size / 2 for size in _tensors(shapes).values()]


def _power_of_two(size: float) -> float:
    return 2.0 ** ceil(log2(size))
