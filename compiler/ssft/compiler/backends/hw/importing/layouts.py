"""How arguments are laid out in DRAM.

Fetching a few columns of a row-major matrix gets a few percent of DRAM bandwidth, fetching rows
most of it. A parameter of which columns are updated is therefore stored transposed, and so are the
optimizer states of those columns.
"""

from __future__ import annotations

from ssft.compiler.plan_schema import ArgumentInfo, StepSignature
from ssft.dialects._mlir import ir


def argument_orders(step: ir.Operation, signature: StepSignature) -> dict[int, tuple[int, ...]]:
    """The order of dimensions, major first, of each argument that is not stored row-major."""
    orders: dict[int, tuple[int, ...]] = {}
    for argument in signature.with_role("trainable"):
        if not _only_columns(argument):
            continue
        orders[argument.index] = (1, 0)
        for tiles in signature.states_of(argument.name).values():
            orders |= {state.index: (1, 0) for state in tiles if len(state.shape) == 2}
    return orders


def _only_columns(argument: ArgumentInfo) -> bool:
    mask = argument.mask
    if mask is None or len(argument.shape) != 2 or mask.columns is None:
        return False
    return mask.rows is None
