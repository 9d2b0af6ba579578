"""The cost report of a plan: JSON first; tables are views of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from ssft.compiler.analysis import cost
from ssft.compiler.plan_schema import ArgumentInfo, Mask, Permutation, StepSignature
from ssft.compiler.recipes.selection import Selection
from ssft.compiler.tiles import Indices, Listed, Selector, place, stored_orders
from ssft.dialects._mlir import ir


def step_cost(step: ir.Operation) -> dict[str, Any]:
    """Returns ``flops`` and ``memory_bytes`` of a step whose updates are recognised."""
    return {"flops": cost.flops(step), "memory_bytes": cost.memory_bytes(step)}


def build_report(
    step: ir.Operation,
    signature: StepSignature,
    dense: Mapping[str, Any],
    remarks: Sequence[str] = (),
    checkpointing: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns the report of a plan.

    Keys: ``method``, ``trainable_parameters``, ``total_parameters``, ``masks`` (of everything that
    trains; index lists over dimensions 0 and 1 in original order, None for all; and how what they
    choose is stored; several entries of one parameter are united), ``flops``, ``memory_bytes``,
    ``dense`` (the last two for the same step with nothing masked), ``reselect`` (after how many
    steps what trains is chosen again, None if never; ``masks`` are those of the start),
    ``checkpoint`` (what is computed again to save memory, None if nothing was asked for),
    ``permuted`` (axes that were reordered) and ``remarks`` (what could not be made contiguous, and
    why).
    """
    parameters = [a for a in signature.parameters if not a.buffer]
    selection = signature.selection
    return {
        "method": signature.method,
        "trainable_parameters": sum(map(trainable_elements, signature.with_role("trainable"))),
        "total_parameters": sum(a.elements for a in parameters),
        "masks": [
            entry
            for argument in signature.with_role("trainable")
            for entry in _mask_entries(argument, signature.permutations)
        ],
        **step_cost(step),
        "dense": dict(dense),
        "reselect": None if selection is None else Selection.from_text(selection).every,
        "checkpoint": None if checkpointing is None else dict(checkpointing),
        "permuted": {name: p.size for name, p in signature.permutations.items()},
        "remarks": list(remarks),
    }


def trainable_elements(argument: ArgumentInfo) -> int:
    """Returns how many elements of a trainable parameter its mask names."""
    if argument.mask is None:
        return argument.elements
    orders = [range(size) for size in argument.shape]
    return sum(prod(tile.shape(argument.shape)) for tile in place(argument.mask, orders))


def _mask_entries(
    argument: ArgumentInfo, permutations: Mapping[str, Permutation]
) -> list[dict[str, Any]]:
    mask = argument.mask or Mask()
    rectangles = mask.combine == "rectangles"
    orders = stored_orders(argument, permutations)
    entries = []
    for part in mask.rectangles if rectangles else (mask,):
        sides = {"rows": part.rows, "columns": part.columns}
        alone = {"rows": Mask(part.rows, row_list=part.row_list),
                 "columns": Mask(columns=part.columns, column_list=part.column_list)}  # fmt: skip
        entries.append(
            {
                "name": argument.name,
                "shape": list(argument.shape),
                **{key: None if side is None else list(side) for key, side in sides.items()},
                "combine": "intersection" if rectangles else mask.combine,
                "stored": {
                    key: _stored(place(alone[key], orders)[0].selectors[dim])
                    for dim, (key, side) in enumerate(sides.items())
                    if side
                },
            }
        )
    return entries


def _stored(selector: Selector) -> str:
    """How what a dimension's indices choose lies in memory."""
    if isinstance(selector, Listed):
        return "looked up"
    return "gathered" if isinstance(selector, Indices) else "contiguous"
