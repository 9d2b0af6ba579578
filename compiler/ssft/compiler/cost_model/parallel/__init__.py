"""Parallel training on paper: bytes that each rank holds and sends under a `Layout`.

`parallel_costs` works from a transformer's shapes. `plan.plan_costs` works from a compiled plan; it
needs MLIR, so it is not imported here. docs/costs.md shows the formulas.
"""

from __future__ import annotations

from ssft.compiler.cost_model.parallel.costs import ParallelCosts, RankCosts, parallel_costs
from ssft.compiler.cost_model.parallel.layout import Layout
from ssft.compiler.cost_model.parallel.links import Link, parse_links
from ssft.compiler.cost_model.parallel.report import Cluster, parallel_report
from ssft.compiler.cost_model.parallel.transformer import Job

__all__ = [
    "Cluster",
    "Job",
    "Layout",
    "Link",
    "ParallelCosts",
    "RankCosts",
    "parallel_costs",
    "parallel_report",
    "parse_links",
]
