"""The cost report of a plan: JSON first; tables are views of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from ssft.compiler.analysis import cost
from ssft.compiler.plan_schema import ArgumentInfo, Mask, StepSignature
from ssft.compiler.tiles import place
from ssft.dialects._mlir import ir


def step_cost(step: ir.Operation) -> dict[str, Any]:
    """Returns ``flops`` and ``memory_bytes`` of a step whose updates are recognised."""
    return {"flops": cost.flops(step), "memory_bytes": cost.memory_bytes(step)}


def build_report(
    step: ir.Operation,
    signature: StepSignature,
    dense: Mapping[str, Any],
    remarks: Sequence[str] = (),
) -> dict[str, Any]:
    """Returns the report of a plan.

    Keys: ``method``, ``trainable_parameters``, ``total_parameters``, ``masks`` (of everything that
    trains; index lists over dimensions 0 and 1 in original order, None for all), ``flops``,
    ``memory_bytes``, ``dense`` (the last two for the same step with nothing masked), ``permuted``
    (axes that were reordered) and ``remarks`` (what could not be made contiguous, and why).
    """
    parameters = [a for a in signature.parameters if not a.buffer]
    return {
        "method": signature.method,
        "trainable_parameters": sum(map(trainable_elements, signature.with_role("trainable"))),
        "total_parameters": sum(a.elements for a in parameters),
        "masks": [_mask_entry(a) for a in signature.with_role("trainable")],
        **step_cost(step),
        "dense": dict(dense),
        "permuted": {name: p.size for name, p in signature.permutations.items()},
        "remarks": list(remarks),
    }


def trainable_elements(argument: ArgumentInfo) -> int:
    """Returns how many elements of a trainable parameter its mask names."""
    if argument.mask is None:
        return argument.elements
    orders = [range(size) for size in argument.shape]
    return sum(prod(tile.shape(argument.shape)) for tile in place(argument.mask, orders))


def _mask_entry(argument: ArgumentInfo) -> dict[str, Any]:
    mask = argument.mask or Mask()
    return {
        "name": argument.name,
        "shape": list(argument.shape),
        "rows": None if mask.rows is None else list(mask.rows),
        "columns": None if mask.columns is None else list(mask.columns),
        "combine": mask.combine,
    }
