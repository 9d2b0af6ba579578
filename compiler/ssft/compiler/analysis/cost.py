"""Static cost of a step: floating-point operations and bytes, by phase and purpose."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.contractions import as_contraction
from ssft.compiler.analysis.liveness import VIEWS, bytes_of, peak_temporaries, saved_activations
from ssft.compiler.analysis.phases import forward_operations, is_checkpointed
from ssft.dialects._mlir import ir

_FLOAT_OPS = ("arith.addf", "arith.subf", "arith.mulf", "arith.divf", "arith.negf", "math.")


def flops(step: ir.Operation) -> dict[str, int]:
    """Counts floating-point operations by phase; a multiply-add is 2.

    ``forward``, ``input_gradient`` and ``weight_gradient`` count contractions; ``update`` counts
    the scalar operations of the optimizer on every element that trains; ``recomputation`` counts
    the contractions of the forward pass that the backward pass does again.
    """
    forward = forward_operations(step)
    phases = ("forward", "input_gradient", "weight_gradient", "update", "recomputation")
    counts: dict[str, int] = {phase: 0 for phase in phases}
    weight_gradients = weight_gradient_operations(step)
    for op in step_ir.operations(step):
        if op.name == "ssft.update":
            counts["update"] += update_flops(op)
        contraction = as_contraction(op)
        if contraction is None:
            continue
        if op in forward:
            phase = "forward"
        elif is_checkpointed(op):
            phase = "recomputation"
        else:
            phase = "weight_gradient" if op in weight_gradients else "input_gradient"
        counts[phase] += contraction.flops
    return counts


def weight_gradient_operations(step: ir.Operation) -> set[ir.Operation]:
    """Returns the contractions whose product is (an addend or view of) a gradient of an update."""
    updates = (op for op in step_ir.operations(step) if op.name == "ssft.update")
    return contractions_behind(gradient for op in updates for gradient in gradients(op))


def contractions_behind(values: Iterable[ir.Value]) -> set[ir.Operation]:
    """Returns the contractions whose product is (an addend, slice or view of) one of `values`."""
    found = set()
    pending = list(values)
    seen = set(pending)
    while pending:
        value = pending.pop()
        producer = step_ir.owner(value)
        if producer is None:
            continue
        if as_contraction(producer) is not None:
            found.add(producer)
            continue
        if producer.name not in VIEWS | {"linalg.generic", "ssft.gather"}:
            continue
        size = prod(step_ir.shape_of(value) or [0])
        for operand in producer.operands:
            same = prod(step_ir.shape_of(operand) or [0]) == size
            if operand not in seen and (same or producer.name in VIEWS | {"ssft.gather"}):
                seen.add(operand)
                pending.append(operand)
    return found


def gradients(update: ir.Operation) -> list[ir.Value]:
    """Returns the gradient operands of an ``ssft.update``."""
    weight, states, _ = list(ir.DenseI32ArrayAttr(update.attributes["operandSegmentSizes"]))
    return list(update.operands)[weight + states :]


def memory_bytes(step: ir.Operation) -> dict[str, int]:
    """Counts bytes by purpose.

    ``weights``: parameters and buffers; ``gradients``: of everything that trains, were they all
    alive at once; ``optimizer_state``: the states; ``saved_activations``: what the forward pass
    keeps for the backward; ``peak``: weights, states, batch and the most temporaries that are alive
    at once, executing operation by operation.
    """
    sizes = {"weights": 0, "optimizer_state": 0, "inputs": 0}
    purposes = {"trainable": "weights", "frozen": "weights", "state": "optimizer_state"}
    for argument, attributes in zip(
        step_ir.body(step).arguments, step_ir.argument_attributes(step), strict=True
    ):
        role = step_ir.text(attributes, "ssft.role") or ""
        sizes[purposes.get(role, "inputs")] += bytes_of(argument)
    updates = [op for op in step_ir.operations(step) if op.name == "ssft.update"]
    resident = sum(sizes.values())
    return {
        "weights": sizes["weights"],
        "gradients": sum(bytes_of(op.operands[0]) for op in updates),
        "optimizer_state": sizes["optimizer_state"],
        "saved_activations": sum(bytes_of(value) for value in saved_activations(step)),
        "peak": resident + peak_temporaries(step),
    }


def update_flops(op: ir.Operation) -> int:
    """Returns the scalar operations of an ``ssft.update``."""
    body = op.regions[0].blocks[0].operations
    each = sum(inner.operation.name.startswith(_FLOAT_OPS) for inner in body)
    return each * prod(step_ir.shape_of(op.operands[0]) or [])
