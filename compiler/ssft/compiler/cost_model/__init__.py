"""Costs of fine-tuning from shapes alone: no weights, no graph, no device.

A closed-form companion of the compiler's report: it covers what need not be compiled, other
implementations for one, and reproduces published figures. docs/costs.md shows the formulas.
"""

from __future__ import annotations

from ssft.compiler.cost_model.architecture import Architecture
from ssft.compiler.cost_model.config import architecture_from_config, named_architecture
from ssft.compiler.cost_model.flops import Flops, Workload, step_flops
from ssft.compiler.cost_model.memory import Memory, Storage, step_memory
from ssft.compiler.cost_model.methods import Method, full, low_rank, s2ft, sift

__all__ = [
    "Architecture",
    "Flops",
    "Memory",
    "Method",
    "Storage",
    "Workload",
    "architecture_from_config",
    "full",
    "low_rank",
    "named_architecture",
    "s2ft",
    "sift",
    "step_flops",
    "step_memory",
]
