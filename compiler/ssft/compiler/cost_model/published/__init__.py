"""Published figures beside the same figures computed from shapes.

The published numbers are data, ``data/*.toml``, with their sources; each module computes one table.
"""

from __future__ import annotations

from collections.abc import Callable

from ssft.compiler.cost_model.published import (
    flop_ratios,
    fuyou,
    memascend,
    memory_bounds,
    plan_memory,
    s2ft_fig5,
    saved_activations,
    sift_table1,
    sparselora_table12,
    zero_fig1,
    zo2_memory,
)
from ssft.compiler.cost_model.published.comparison import Row, Table

TABLES: dict[str, Callable[[], Table]] = {
    module.NAME: module.table
    for module in (
        s2ft_fig5,
        sift_table1,
        flop_ratios,
        saved_activations,
        memory_bounds,
        plan_memory,
        sparselora_table12,
        zero_fig1,
        fuyou,
        memascend,
        zo2_memory,
    )
}
"""Functions that compute a table, by its name."""

__all__ = ["TABLES", "Row", "Table"]
