"""Who reads a gradient besides its update, and what becomes of them when it is masked.

The one reader that a training step has is clipping by global norm: a sum over all elements of a
function that maps zero to zero. With a masked gradient that sum runs over the trained slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ssft.compiler.analysis.elementwise import full_reduction, is_elementwise, zero_in_zero_out
from ssft.compiler.rewriting.gradients import GradientSlicer, Selectors
from ssft.dialects._mlir import ir


@dataclass
class GradientReaders:
    """The sums that read a parameter's gradient, and the first reader that cannot be masked."""

    sums: list[ir.Operation] = field(default_factory=list)
    unmaskable: ir.Operation | None = None


def find_readers(gradients: Sequence[ir.Value], update: ir.Operation) -> GradientReaders:
    """Finds what reads `gradients` (the operands of `update`) besides `update` itself.

    Values computed from the gradients by element-wise operations that map zeros to zero are masked
    along with them.
    """
    masked = set(gradients)
    while True:
        readers = {use.owner.operation for value in masked for use in value.uses} - {update}
        grown = {
            reader.results[0]
            for reader in readers
            if is_elementwise(reader) and zero_in_zero_out(reader, _numbers(reader, masked))
        }
        if grown <= masked:
            break
        masked |= grown
    found = GradientReaders()
    for reader in readers:
        if full_reduction(reader) and zero_in_zero_out(reader, _numbers(reader, masked)):
            found.sums.append(reader)
        elif not reader.results or reader.results[0] not in masked:
            found.unmaskable = reader
    return found


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
