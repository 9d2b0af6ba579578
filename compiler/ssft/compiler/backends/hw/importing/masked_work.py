"""How much work masks save: the multiply-adds that dense weight gradients would take."""

from __future__ import annotations

import math
from collections import defaultdict

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.contractions import as_contraction
from ssft.compiler.analysis.cost import contractions_behind, gradients
from ssft.compiler.analysis.liveness import VIEWS
from ssft.compiler.analysis.phases import forward_operations
from ssft.dialects._mlir import ir

_SLICES = frozenset({"tensor.extract_slice", "ssft.gather"})
_WRITES = {"tensor.insert_slice": 1, "ssft.scatter": 0}


def masked_macs(step: ir.Operation) -> dict[ir.Operation, int]:
    """Multiply-adds of dense weight gradients that the step does without, by operation.

    Each product of the forward pass with a parameter has a weight gradient of as many
    multiply-adds. Where a parameter has contractions that make a part of it, the first of them
    bears what is saved; where it is frozen, its product in the forward pass does.
    """
    made = gradient_contractions(step)
    products = _forward_products(step)
    saved: dict[ir.Operation, int] = {}
    for parameter, forward in products.items():
        dense = sum(_macs(op) for op in forward)
        done = sum(_macs(op) for op in made.get(parameter, ()))
        if dense > done:
            saved[(made.get(parameter) or forward)[0]] = dense - done
    return saved


def _forward_products(step: ir.Operation) -> dict[ir.Value, list[ir.Operation]]:
    """Contractions of the forward pass of which an operand is (a view of) a parameter."""
    parameters = {
        argument
        for argument, attributes in zip(
            step_ir.body(step).arguments, step_ir.argument_attributes(step), strict=True
        )
        if step_ir.text(attributes, "ssft.role") in ("trainable", "frozen")
    }
    forward = forward_operations(step)
    found: dict[ir.Value, list[ir.Operation]] = defaultdict(list)
    for op in step_ir.operations(step):
        if op in forward and as_contraction(op) is not None:
            for operand in list(op.operands)[:2]:
                parameter = _viewed(operand)
                if parameter in parameters:
                    found[parameter].append(op)
    return found


def _viewed(value: ir.Value) -> ir.Value:
    """What a chain of reshapes, transposes and slices starts from."""
    op = step_ir.owner(value)
    while op is not None and op.name in VIEWS:
        value = op.operands[0]
        op = step_ir.owner(value)
    return value


def gradient_contractions(step: ir.Operation) -> dict[ir.Value, list[ir.Operation]]:
    """The contractions that make each updated parameter's gradient, by the step's argument."""
    contractions: dict[ir.Value, list[ir.Operation]] = defaultdict(list)
    for op in step_ir.operations(step):
        if op.name == "ssft.update":
            parameter = _parameter(op.operands[0])
            behind = contractions_behind(gradients(op))
            contractions[parameter] += [c for c in behind if c not in contractions[parameter]]
    return contractions


def _macs(op: ir.Operation) -> int:
    """Multiply-adds of a contraction."""
    contraction = as_contraction(op)
    assert contraction is not None
    return math.prod(contraction.sizes)


def _parameter(value: ir.Value) -> ir.Value:
    """The argument that a slice to be updated is cut from."""
    op = step_ir.owner(value)
    while op is not None and (op.name in _SLICES or op.name in _WRITES):
        value = op.operands[_WRITES.get(op.name, 0)]
        op = step_ir.owner(value)
    return value
