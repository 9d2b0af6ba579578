"""``ssft-co-permute``: reorder free axes so that what trains is contiguous.

The step function is equivariant under a permutation of a free axis, so nothing but data changes:
the pass records the permutation, every argument that carries the axis is stored permuted
(``ssft.permuted``), and exports undo it. A set that cannot be made contiguous, because its axis is
pinned or the set does not follow the axis's structure, stays a gathered slice, which is always
legal; the reason is recorded as a remark. Rectangles stay where they are, and so does everything in
a step that chooses its rows and columns again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.axes import Axis, AxisAnalysis, DimensionLayout, analyze_axes
from ssft.compiler.analysis.phases import forward_operations
from ssft.compiler.analysis.reductions import normalised_axes
from ssft.compiler.fronts import combine, fronts_of, is_first
from ssft.compiler.passes.base import Pass, PassContext
from ssft.compiler.plan_attributes import permutations_attribute, string_list
from ssft.compiler.plan_schema import ArgumentInfo, Permutation, StepSignature, read_signature
from ssft.compiler.tiles import Indices, place, stored_orders
from ssft.dialects._mlir import ir

_Side = tuple[str, int]
"""A dimension of a parameter: its name and 0 for rows, 1 for columns."""


@dataclass(frozen=True)
class CoPermutePass(Pass):
    """Chooses permutations of free axes that make masked rows and columns contiguous.

    Runs before ``ssft-slice-updates``, while every state still has its parameter's shape.
    """

    argument: ClassVar[str] = "ssft-co-permute"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Sets ``ssft.permutations`` on the module and ``ssft.permuted`` on arguments."""
        step = step_ir.find_step(module)
        signature = read_signature(module)
        masked = [a for a in signature.with_role("trainable") if a.mask is not None]
        if not masked:
            return
        if any(True for a in masked if a.mask for _ in a.mask.list_names()):
            # Where the step looks indices up, a stored position must be an index for ever.
            context.statistics["steps that re-select"] += 1
            context.remark(
                step,
                "no axis is permuted, and slices are gathered: what trains is chosen again during "
                "training, and with it other rows and columns would have to move to the front",
            )
            return
        with module.context, step.location:
            axes = analyze_axes(step)
            tied = normalised_axes(axes, forward_operations(step))
            refused: dict[_Side, str] = {}
            requests: dict[Axis, list[tuple[int, ...]]] = {}
            for argument in masked:
                for axis, front in _requests(argument, axes, tied, refused):
                    requests.setdefault(axis, []).append(front)
            fronts = {axis: combine(wanted) for axis, wanted in requests.items()}
            permutations = {
                axis.id: (axis.name, Permutation(axis.size, front))
                for axis, front in fronts.items()
                if not is_first(front)
            }
            context.statistics["axes permuted"] += len(permutations)
            _annotate(module, step, axes, permutations)
            _report(read_signature(module), refused, step, context)


def _requests(
    argument: ArgumentInfo, axes: AxisAnalysis, tied: frozenset[int], refused: dict[_Side, str]
) -> Iterator[tuple[Axis, tuple[int, ...]]]:
    """Yields what one masked parameter wants to come first on which axis.

    A dimension for which there is no permutation goes to `refused`, with the reason.
    """
    for dim, indices in enumerate(_chosen(argument)):
        if indices is None:
            continue
        layout = axes.dimension(argument.index, dim)
        fronts = fronts_of(indices, layout, tied)
        if fronts is None:
            refused[argument.name, dim] = _reason(layout, tied)
        else:
            yield from fronts.items()


def _chosen(argument: ArgumentInfo) -> tuple[tuple[int, ...] | None, ...]:
    assert argument.mask is not None
    return argument.mask.rows, argument.mask.columns


def _report(
    signature: StepSignature, refused: dict[_Side, str], step: ir.Operation, context: PassContext
) -> None:
    """Counts what is contiguous as it is stored now, and remarks on what is not.

    Refused is not yet gathered: neighbours, such as one head, are contiguous where they are.
    """
    for argument in signature.with_role("trainable"):
        if argument.mask is None:
            continue
        if argument.mask.combine == "rectangles":
            context.remark(step, f"blocks of '{argument.name}' stay where they are in the matrix")
        orders = stored_orders(argument, signature.permutations)
        tiles = place(argument.mask, orders)
        for dim, indices in enumerate(_chosen(argument)):
            if indices is None:
                continue
            if not any(isinstance(tile.selectors[dim], Indices) for tile in tiles):
                context.statistics["dimensions made contiguous"] += 1
                continue
            context.statistics["dimensions gathered"] += 1
            reason = refused.get(
                (argument.name, dim), "its axis is in an order that more of the other masks ask for"
            )
            what = ("rows", "columns")[dim]
            context.remark(step, f"{what} of '{argument.name}' stay gathered: {reason}")


def _reason(layout: DimensionLayout, tied: frozenset[int]) -> str:
    reasons: dict[str, None] = {}
    for _, axis in layout.axes():
        where = f"axis {axis.name} of size {axis.size}"
        if not axis.is_free:
            reasons[f"{where} is fixed: {axis.pins[0].reason}"] = None
        elif axis.id in tied:
            reasons[f"{where} is the residual stream or such: a norm reduces over it"] = None
    if reasons:
        return "; ".join(list(reasons)[:2])
    if len(layout.segments) > 1:
        return f"the chosen set does not lie in one of the parts {layout} that are joined here"
    return f"the chosen set follows no order of the axes {layout}"


def _annotate(
    module: ir.Operation,
    step: ir.Operation,
    axes: AxisAnalysis,
    permutations: dict[int, tuple[str, Permutation]],
) -> None:
    names = {identifier: name for identifier, (name, _) in permutations.items()}
    attributes = step_ir.argument_attributes(step)
    for argument, layouts in zip(attributes, axes.dimensions, strict=True):
        argument.pop("ssft.permuted", None)
        texts = tuple(layout.text(names) for layout in layouts)
        if any(not text.isdecimal() for text in texts):
            argument["ssft.permuted"] = string_list(texts)
    step_ir.set_signature(step, attributes, step_ir.result_attributes(step))
    if permutations:
        module.attributes["ssft.permutations"] = permutations_attribute(dict(permutations.values()))
