"""``ssft-save-slices``: keep only the slice of an activation that a weight gradient reads.

A column mask reads ``X[:, C]``; the view would keep all of X alive until the backward pass. If
nothing else there reads X, the slice is taken where X is computed and materialised, so that X dies
in the forward pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.liveness import VIEWS, storage
from ssft.compiler.analysis.phases import forward_operations, used_values
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir

_SLICES = frozenset({"tensor.extract_slice", "ssft.gather"})


@dataclass(frozen=True)
class SaveSlicesPass(Pass):
    """Moves slices of activations into the forward pass where that lets the activation die."""

    argument: ClassVar[str] = "ssft-save-slices"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites ``@step``."""
        step = step_ir.find_step(module)
        with module.context, step.location:
            forward = forward_operations(step)
            slices = [
                op
                for op in step_ir.operations(step)
                if _is_slice(op) and op not in forward and _is_activation(op, forward)
            ]
            kept = _read_by_backward(step, forward, set(slices))
            for op in slices:
                if storage(op.operands[0]) in kept:
                    context.statistics["views of saved activations"] += 1
                    continue
                _move(op)
                context.statistics["slices saved"] += 1


def _is_slice(op: ir.Operation) -> bool:
    """Whether `op` takes positions that are known everywhere: constants, or arguments."""
    sources = [step_ir.owner(operand) for operand in list(op.operands)[1:]]
    return op.name in _SLICES and all(
        source is None or source.name == "arith.constant" for source in sources
    )


def _is_activation(op: ir.Operation, forward: set[ir.Operation]) -> bool:
    """Whether `op` slices, directly or after other slices, what the forward pass computes."""
    producer = step_ir.owner(op.operands[0])
    while producer is not None and producer not in forward and _is_slice(producer):
        producer = step_ir.owner(producer.operands[0])
    root = step_ir.owner(storage(op.operands[0]))
    return producer is not None and root is not None and {producer, root} <= forward


def _read_by_backward(
    step: ir.Operation, forward: set[ir.Operation], slices: set[ir.Operation]
) -> set[ir.Value]:
    """Returns the storages that are alive in the backward pass for another reason than `slices`."""
    kept = set()
    for op in step_ir.operations(step):
        if op in forward or op in slices or op.name in VIEWS or op.name == "func.return":
            continue
        for value in used_values(op):
            if not _through_slice(value, slices):
                kept.add(storage(value))
    return kept


def _through_slice(value: ir.Value, slices: set[ir.Operation]) -> bool:
    """Whether `value` is a slice, or a view of one, of the slices in question."""
    producer = step_ir.owner(value)
    while producer is not None and producer.name in VIEWS:
        if producer in slices:
            return True
        producer = step_ir.owner(producer.operands[0])
    return False


def _move(op: ir.Operation) -> None:
    """Takes the slice right behind the definition of its source, materialised."""
    source = step_ir.owner(op.operands[0])
    assert source is not None
    with op.location, ir.InsertionPoint.after(source):
        new = _gather(op) if op.name == "ssft.gather" else _save_slice(op)
    op.results[0].replace_all_uses_with(new)
    op.erase()


def _gather(op: ir.Operation) -> ir.Value:
    """Builds the gather again. Its index constant may be shared by gathers elsewhere."""
    index = step_ir.owner(op.operands[1])
    indices = op.operands[1] if index is None else index.clone().results[0]
    copy = op.clone()
    copy.operands[1] = indices
    return copy.results[0]


def _save_slice(op: ir.Operation) -> ir.Value:
    """Builds ``ssft.save_slice``; a slice of several dimensions takes one after the other."""
    value = op.operands[0]
    offsets = list(ir.DenseI64ArrayAttr(op.attributes["static_offsets"]))
    sizes = list(ir.DenseI64ArrayAttr(op.attributes["static_sizes"]))
    shape = list(step_ir.shape_of(value) or [])
    for dim, (offset, size) in enumerate(zip(offsets, sizes, strict=True)):
        if size == shape[dim]:
            continue
        shape[dim] = size
        element = ir.RankedTensorType(value.type).element_type
        value = ir.Operation.create(
            "ssft.save_slice",
            results=[ir.RankedTensorType.get(shape, element)],
            operands=[value],
            attributes={
                "dim": step_ir.i64(dim),
                "offset": step_ir.i64(offset),
                "size": step_ir.i64(size),
            },
        ).result
    return value
