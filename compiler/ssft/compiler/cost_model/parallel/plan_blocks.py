"""Where a plan can be split over tensor-parallel ranks, found in the step itself.

Megatron-LM (arXiv 1909.08053, section 3) splits an axis that some matrices produce and others
contract, with nothing between that would need all of it: heads, feed-forward channels. Those are
the axes that may be permuted freely, so the analysis for co-permutation finds them. An axis does
for a *block* if

* every matrix that has it multiplies by it: tables that are looked up and what they feed, the
  residual stream, are out, and so are axes of buffers, such as the channels of rotary positions;
* some matrix produces it and another one contracts it;
* no matrix has another, larger block on its other dimension: the ranks of adapters are out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.axes import AxisAnalysis, DimensionLayout, analyze_axes
from ssft.compiler.analysis.linears import INPUT, OUTPUT, LinearUse, linear_uses
from ssft.compiler.analysis.liveness import bytes_of, storage
from ssft.compiler.plan_schema import ArgumentInfo, StepSignature
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class Block:
    """An axis of `units` that can be shared out, and what ranks that share it must sum.

    `parameters`: arguments that are split. `forward`: bytes of each sum of the forward pass, by
    the position of the operation whose result it is. `backward`: bytes of each gradient of an
    input of the block, by the position of the first operation that reads the input, with the
    matrices that read it.
    """

    units: int
    parameters: frozenset[int]
    forward: tuple[tuple[int, int], ...]
    backward: tuple[tuple[int, int, frozenset[int]], ...]


@dataclass(frozen=True)
class Member:
    """One dimension of a matrix, with the forward products that use it."""

    argument: ArgumentInfo
    dimension: int
    layout: DimensionLayout
    uses: tuple[LinearUse, ...]

    def operations(self, kind: str) -> list[LinearUse]:
        """The products that contract the dimension (`INPUT`) or produce it (`OUTPUT`)."""
        return [use for use in self.uses if use.use_of(self.dimension) == kind]


Group = tuple[set[int], list[Member]]
"""Ids of axes, and the dimensions that have some of them."""


class Blocks:
    """The blocks of a step, and which values lie inside one. Only while the module is unchanged."""

    def __init__(
        self, step: ir.Operation, signature: StepSignature, position: Mapping[ir.Operation, int]
    ) -> None:
        self._axes = analyze_axes(step)
        members = _members(step, signature, set(position), self._axes)
        buffers = {argument.index for argument in signature.parameters if argument.buffer}
        groups = _groups(self._axes, members, buffers)
        self._inside = {axis for axes, _ in groups for axis in axes}
        self.found = tuple(
            _block(members, self._vectors(signature, axes), position) for axes, members in groups
        )

    def _vectors(self, signature: StepSignature, axes: set[int]) -> set[int]:
        """The biases of a block: parameters of one dimension that has some of its axes."""
        return {
            argument.index
            for argument in signature.parameters
            if len(argument.shape) == 1
            and any(axis.id in axes for _, axis in self._axes.dimension(argument.index, 0).axes())
        }

    def holds(self, value: ir.Value) -> bool:
        """Whether a rank has a share of a value only."""
        dimensions = range(len(step_ir.shape_of(value) or []))
        layouts = (self._axes.dimension_of(value, dim) for dim in dimensions)
        return any(axis.id in self._inside for layout in layouts for _, axis in layout.axes())


def _members(
    step: ir.Operation, signature: StepSignature, forward: set[ir.Operation], axes: AxisAnalysis
) -> list[Member]:
    found = []
    for argument in signature.parameters:
        if len(argument.shape) == 2 and not argument.buffer:
            uses = tuple(linear_uses(step, argument.index, forward))
            found += [
                Member(argument, dim, axes.dimension(argument.index, dim), uses) for dim in (0, 1)
            ]
    return found


def _groups(axes: AxisAnalysis, members: Sequence[Member], buffers: set[int]) -> list[Group]:
    """Axes that occur in the same dimensions, with these dimensions, as far as they make blocks."""
    excluded = {
        axis.id for axis in axes.axes if not axis.is_free or buffers & set(axis.arguments())
    }
    excluded |= {axis.id for m in members if not m.uses for _, axis in m.layout.axes()}
    groups: list[Group] = []
    for member in members:
        ids = {axis.id for _, axis in member.layout.axes()} - excluded
        if not ids:
            continue
        joined = [group for group in groups if group[0] & ids]
        groups = [group for group in groups if not group[0] & ids]
        groups.append(
            (ids.union(*(g[0] for g in joined)), [*(m for g in joined for m in g[1]), member])
        )
    usable = [group for group in groups if all(_uses(group[1], kind) for kind in (INPUT, OUTPUT))]
    return _without_conflicts(usable)


def _uses(members: Sequence[Member], kind: str) -> list[LinearUse]:
    return [use for member in members for use in member.operations(kind)]


def _without_conflicts(groups: Sequence[Group]) -> list[Group]:
    """Largest first, those of which no matrix has its other dimension in a block already."""
    chosen: list[Group] = []
    taken: set[int] = set()
    for ids, members in sorted(groups, key=lambda group: -_elements(group[1])):
        arguments = {member.argument.index for member in members}
        if len(arguments) == len(members) and not arguments & taken:
            taken |= arguments
            chosen.append((ids, members))
    return chosen


def _elements(members: Sequence[Member]) -> int:
    return sum(member.argument.elements for member in members)


def _block(
    members: Sequence[Member], vectors: set[int], position: Mapping[ir.Operation, int]
) -> Block:
    sums = {position[use.op]: bytes_of(use.op.results[0]) for use in _uses(members, INPUT)}
    inputs: dict[ir.Value, tuple[int, int, set[int]]] = {}
    for member in members:
        for use in member.operations(OUTPUT):
            value = use.op.operands[1 - use.operand]
            first, size, readers = inputs.get(
                storage(value), (position[use.op], bytes_of(value), set())
            )
            readers.add(member.argument.index)
            inputs[storage(value)] = (min(first, position[use.op]), size, readers)
    return Block(
        units=min(_units(member.layout) for member in members),
        parameters=frozenset(member.argument.index for member in members) | vectors,
        forward=tuple(sums.items()),
        backward=tuple((at, size, frozenset(r)) for at, size, r in inputs.values()),
    )


def _units(layout: DimensionLayout) -> int:
    """How many indices of a dimension must stay together: what its products have as minor part."""
    inner = max(prod(factor.size for factor in segment[1:]) for segment in layout.segments)
    return layout.size // inner
