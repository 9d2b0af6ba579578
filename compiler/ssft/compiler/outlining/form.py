"""How outlined code looks: what `outline` writes and `inline` reads."""

from __future__ import annotations

from ssft.dialects._mlir import ir

SLOT = "ssft.slot"
"""In a function, of an operation whose attributes differ from call to call: their number."""

SLOTS = "ssft.slots"
"""Of a call: the attributes of the numbered operations, an array of dictionaries."""

PREFIX = "ssft."
"""Of the attributes that may differ from call to call."""

_SHARED = frozenset({"arith.constant", "tensor.empty"})


def is_shared(op: ir.Operation) -> bool:
    """Whether the operation reads nothing, so that a function may have one of its own."""
    return op.name in _SHARED and not op.operands


def shared_key(op: ir.Operation) -> tuple[object, ...]:
    """What makes two such operations the same."""
    return (op.name, op.results[0].type, tuple(op.attributes.items()))
