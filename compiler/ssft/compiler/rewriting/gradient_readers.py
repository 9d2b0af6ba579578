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
from ssft.compiler.rewriting.gradients import GradientSlicer
from ssft.compiler.rewriting.slices import Selectors
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
    gradients: Sequence[ir.Value], update: ir.Operation, reach: Reach
) -> GradientReaders:
    """Finds what reads `gradients` (the operands of `update`) on the way to scalars of updates.

    Values computed from the gradients by element-wise operations that map zeros to zero are masked
    along with them. A sum that also leads back into a gradient cannot be masked.
    """
    if all(step_ir.shape_of(gradient) == [] for gradient in gradients):
        return _find_scalar_readers(gradients, update, reach)
    found = GradientReaders()
    masked = set(gradients)
    pending = list(gradients)
    seen = {update}
    deferred: list[ir.Operation] = []
    while pending:
        value = pending.pop()
        for reader in {use.owner.operation for use in value.uses} - seen:
            reaches = reach.of(reader.results)
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
    gradients: Sequence[ir.Value], update: ir.Operation, reach: Reach
) -> GradientReaders:
    found = GradientReaders()
    for use in (use for gradient in gradients for use in gradient.uses):
        reader = use.owner.operation
        if reader == update:
            continue
        reaches = reach.of(reader.results)
        if reader.name == "ssft.update" or reaches == {"scalar", "gradient"}:
            found.unmaskable = reader
        elif "scalar" in reaches:
            found.scalars.append((reader, use.operand_number))
    return found


class Reach:
    """What values lead to, remembered: many gradients are read by the same operations.

    To be used as long as the step does not change.
    """

    def __init__(self, step: ir.Operation, every_gradient: Collection[ir.Value]) -> None:
        self.every_gradient = every_gradient
        self.losses = {
            number
            for number, attributes in enumerate(step_ir.result_attributes(step))
            if step_ir.text(attributes, "ssft.role") == "loss"
        }
        self._known: dict[ir.Value, frozenset[str]] = {}

    def of(self, values: Iterable[ir.Value]) -> frozenset[str]:
        """Returns what `values` lead to: ``"scalar"``, ``"gradient"``, both or neither.

        A scalar is what updates capture or the step returns, such as the norm as a metric, but not
        the loss. Paths end at gradients: what reads those is their own affair.
        """
        return frozenset().union(*map(self._of, values))

    def _of(self, value: ir.Value) -> frozenset[str]:
        pending = [value]
        while pending:
            current = pending[-1]
            found, unknown = self._uses(current)
            if unknown:
                pending += unknown
                continue
            self._known[current] = frozenset(found)
            pending.pop()
        return self._known[value]

    def _uses(self, value: ir.Value) -> tuple[Collection[str], list[ir.Value]]:
        """What `value` leads to as far as it is known, and values of which it is not known yet."""
        if value in self._known:
            return self._known[value], []
        if value in self.every_gradient:
            return {"gradient"}, []
        found: set[str] = set()
        unknown: list[ir.Value] = []
        for use in value.uses:
            op = use.owner.operation
            name = op.name
            if name == "func.return":
                if use.operand_number not in self.losses:
                    found.add("scalar")
                continue
            parent = op.parent
            if parent is not None and parent.operation.name == "ssft.update":
                found.add("scalar")
            if name != "ssft.update":
                for result in op.results:
                    if result in self._known:
                        found |= self._known[result]
                    else:
                        unknown.append(result)
        return found, unknown


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
