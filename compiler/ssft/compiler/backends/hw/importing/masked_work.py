"""How much work masks save: the multiply-adds that dense weight gradients would take."""

from __future__ import annotations

import math
from collections import defaultdict

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.contractions import as_contraction
from ssft.compiler.analysis.cost import contractions_behind, gradients
from ssft.dialects._mlir import ir

_SLICES = frozenset({"tensor.extract_slice", "ssft.gather"})
_WRITES = {"tensor.insert_slice": 1, "ssft.scatter": 0}


def masked_macs(step: ir.Operation) -> dict[ir.Operation, int]:
    """For contractions that make a masked parameter's gradient: what the dense one has on top.

    A parameter may have several, e.g. one for selected rows and one for selected columns; the
    first of them bears all that the parameter's mask saves.
    """
    saved: dict[ir.Operation, int] = {}
    for parameter, found in gradient_contractions(step).items():
        sizes = [_sizes(op) for op in found]
        if not found or len({k for _, k in sizes}) != 1:
            continue
        dense = math.prod(step_ir.shape_of(parameter) or [0]) * sizes[0][1]
        done = sum(macs for macs, _ in sizes)
        if dense > done:
            saved[found[0]] = dense - done
    return saved


def gradient_contractions(step: ir.Operation) -> dict[ir.Value, list[ir.Operation]]:
    """The contractions that make each updated parameter's gradient, by the step's argument."""
    contractions: dict[ir.Value, list[ir.Operation]] = defaultdict(list)
    for op in step_ir.operations(step):
        if op.name == "ssft.update":
            parameter = _parameter(op.operands[0])
            behind = contractions_behind(gradients(op))
            contractions[parameter] += [c for c in behind if c not in contractions[parameter]]
    return contractions


def _sizes(op: ir.Operation) -> tuple[int, int]:
    """Multiply-adds of a contraction, and the number of products of each sum."""
    contraction = as_contraction(op)
    assert contraction is not None
    k = math.prod(contraction.sizes[loop] for loop in contraction.k)
    return math.prod(contraction.sizes), k


def _parameter(value: ir.Value) -> ir.Value:
    """The argument that a slice to be updated is cut from."""
    op = step_ir.owner(value)
    while op is not None and (op.name in _SLICES or op.name in _WRITES):
        value = op.operands[_WRITES.get(op.name, 0)]
        op = step_ir.owner(value)
    return value
