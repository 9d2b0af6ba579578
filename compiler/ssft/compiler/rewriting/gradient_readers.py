"""Who reads a gradient besides its update, and what becomes of them when it is masked.

Two kinds of reader exist. Clipping by global norm is a sum over all elements of a function that
maps zero to zero, and ends in a scalar that updates use: with a masked gradient that sum runs over
the trained slices. The backward pass may use a gradient as an intermediate value (batch
normalisation does, of its scale): that is no use *as* a gradient and sees all of it.

The gradient of a scalar parameter has no elements to sum over; masked, it is zero in the norm.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.cost import gradients as gradients_of
from ssft.compiler.analysis.elementwise import full_reduction, is_elementwise, zero_in_zero_out
from ssft.compiler.rewriting.gradients import GradientSlicer, Selectors
from ssft.dialects._mlir import ir


@dataclass
class GradientReaders:
    """The sums that read a parameter's gradient, and the first reader that cannot be masked.

    `scalars` are the operands, as (operation, number), in which the gradient of a scalar parameter
    goes into the norm.
    """

    sums: list[ir.Operation] = field(default_factory=list)
    scalars: list[tuple[ir.Operation, int]] = field(default_factory=list)
    unmaskable: ir.Operation | None = None


def all_gradients(step: ir.Operation) -> set[ir.Value]:
    """Returns the gradient operands of every ``ssft.update`` of the step."""
    updates = [op for op in step_ir.operations(step) if op.name == "ssft.update"]
    return {value for update in updates for value in gradients_of(update)}


def find_readers(
    gradients: Sequence[ir.Value], update: ir.Operation, every_gradient: Collection[ir.Value]
) -> GradientReaders:
    """Finds what reads `gradients` (the operands of `update`) on the way to scalars of updates.

    Values computed from the gradients by element-wise operations that map zeros to zero are masked
    along with them. A sum that also leads back into a gradient cannot be masked.
    """
    if all(step_ir.shape_of(gradient) == [] for gradient in gradients):
        return _find_scalar_readers(gradients, update, every_gradient)
    found = GradientReaders()
    masked = set(gradients)
    pending = list(gradients)
    seen = {update}
    deferred: list[ir.Operation] = []
    while pending:
        value = pending.pop()
        for reader in {use.owner.operation for use in value.uses} - seen:
            reaches = reached_from(reader.results, every_gradient)
            if "scalar" not in reaches:
                seen.add(reader)
            elif is_elementwise(reader):
                # Another of its operands may turn out to be masked, too: decided again then.
                if zero_in_zero_out(reader, _numbers(reader, masked)):
                    seen.add(reader)
                    masked.add(reader.results[0])
                    pending.append(reader.results[0])
                else:
                    deferred.append(reader)
            elif full_reduction(reader) and "gradient" not in reaches:
                seen.add(reader)
                if zero_in_zero_out(reader, _numbers(reader, masked)):
                    found.sums.append(reader)
                else:
                    found.unmaskable = reader
            else:
                seen.add(reader)
                found.unmaskable = reader
    undecided = [reader for reader in deferred if reader not in seen]
    if undecided:
        found.unmaskable = undecided[0]
    return found


def _find_scalar_readers(
    gradients: Sequence[ir.Value], update: ir.Operation, every_gradient: Collection[ir.Value]
) -> GradientReaders:
    found = GradientReaders()
    for use in (use for gradient in gradients for use in gradient.uses):
        reader = use.owner.operation
        if reader == update:
            continue
        reaches = reached_from(reader.results, every_gradient)
        if reader.name == "ssft.update" or reaches == {"scalar", "gradient"}:
            found.unmaskable = reader
        elif "scalar" in reaches:
            found.scalars.append((reader, use.operand_number))
    return found


def reached_from(values: Iterable[ir.Value], every_gradient: Collection[ir.Value]) -> set[str]:
    """Returns what `values` lead to: ``"scalar"``, ``"gradient"``, both or neither.

    A scalar is what updates capture or the step returns, such as the norm as a metric, but not the
    loss. Paths end at gradients: what reads those is their own affair.
    """
    found: set[str] = set()
    pending = list(values)
    seen = set(pending)
    while pending:
        value = pending.pop()
        if value in every_gradient:
            found.add("gradient")
            continue
        for use in value.uses:
            op = use.owner.operation
            parent = op.parent.operation if op.parent is not None else None
            captured = parent is not None and parent.name == "ssft.update"
            if captured or (op.name == "func.return" and not _is_loss(use)):
                found.add("scalar")
            for result in op.results:
                if result not in seen and op.name != "ssft.update":
                    seen.add(result)
                    pending.append(result)
    return found


def _is_loss(use: ir.OpOperand) -> bool:
    step = use.owner.operation.parent.operation
    results = step_ir.result_attributes(step)
    return step_ir.text(results[use.operand_number], "ssft.role") == "loss"


def _numbers(reader: ir.Operation, values: set[ir.Value]) -> list[int]:
    return [number for number, operand in enumerate(reader.operands) if operand in values]


def sum_over_tiles(
    reduction: ir.Operation, tiles: Sequence[Selectors], slicer: GradientSlicer
) -> None:
    """Replaces a sum over all elements by sums over `tiles`, chained through the accumulator."""
    accumulator = reduction.operands[1]
    for selectors in tiles:
        part = slicer.slice(reduction.operands[0], selectors)
        with reduction.location, ir.InsertionPoint(reduction):
            copy = reduction.clone()
        copy.operands[0] = part
        copy.operands[1] = accumulator
        accumulator = copy.results[0]
    reduction.results[0].replace_all_uses_with(accumulator)
