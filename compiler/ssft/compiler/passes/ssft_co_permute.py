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
from ssft.compiler.fronts import Fronts, combine, fronts_of
from ssft.compiler.passes.base import Pass, PassContext
from ssft.compiler.plan_attributes import permutations_attribute, string_list
from ssft.compiler.plan_schema import ArgumentInfo, Permutation, read_signature
from ssft.dialects._mlir import ir


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
            requests: dict[Axis, list[tuple[int, ...]]] = {}
            for argument in masked:
                for fronts in _requests(argument, axes, tied, context, step):
                    for axis, front in fronts.items():
                        requests.setdefault(axis, []).append(front)
                    context.statistics["dimensions made contiguous"] += 1
            permutations = {
                axis.id: (axis.name, Permutation(axis.size, combine(fronts)))
                for axis, fronts in requests.items()
            }
            context.statistics["axes permuted"] += len(permutations)
            _annotate(module, step, axes, permutations)


def _requests(
    argument: ArgumentInfo,
    axes: AxisAnalysis,
    tied: frozenset[int],
    context: PassContext,
    step: ir.Operation,
) -> Iterator[Fronts]:
    """Yields the fronts of each dimension of one masked parameter; remarks on what has none."""
    assert argument.mask is not None
    if argument.mask.combine == "rectangles":
        context.remark(step, f"blocks of '{argument.name}' stay where they are in the matrix")
    for dim, indices in enumerate((argument.mask.rows, argument.mask.columns)):
        if indices is None:
            continue
        layout = axes.dimension(argument.index, dim)
        fronts = fronts_of(indices, layout, tied)
        if fronts is None:
            context.statistics["dimensions gathered"] += 1
            what = ("rows", "columns")[dim]
            context.remark(
                step, f"{what} of '{argument.name}' stay gathered: {_reason(layout, tied)}"
            )
        else:
            yield fronts


def _reason(layout: DimensionLayout, tied: frozenset[int]) -> str:
    reasons = []
    for _, axis in layout.axes():
        if not axis.is_free:
            reasons.append(f"axis {axis.name} of size {axis.size} is fixed: {axis.pins[0].reason}")
        elif axis.id in tied:
            reasons.append(
                f"axis {axis.name} of size {axis.size} is the residual stream or such: a norm "
                "reduces over it"
            )
    return "; ".join(reasons[:2]) or f"the chosen set follows no order of the axes {layout}"


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
