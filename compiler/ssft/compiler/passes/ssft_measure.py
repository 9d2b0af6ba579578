"""``ssft-measure``: turn the step into one that measures the model and updates nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.cost import gradients
from ssft.compiler.analysis.linears import INPUT, OUTPUT, LinearUse, linear_uses
from ssft.compiler.analysis.phases import forward_operations
from ssft.compiler.analysis.updates import update_groups, updated_parameter
from ssft.compiler.passes import _build
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class MeasurePass(Pass):
    """Replaces the results of ``@step`` by the loss and by measurements, with role ``metric``.

    They are named ``gradient/NAME`` (of a trainable parameter, before clipping; one result per
    addend where several add up), and for matrices ``input/NAME`` and ``output/NAME``: the sum over
    all tokens of the squares of each channel that the matrix is multiplied with, and yields. The
    step must have its updates recognised, and dense.
    """

    argument: ClassVar[str] = "ssft-measure"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites the signature of ``@step``; what nothing needs any more is left to ``cse``."""
        step = step_ir.find_step(module)
        with module.context, step.location:
            names = {group.argument: group.name for group in update_groups(step)}
            end = step_ir.terminator(step)
            kept = [
                (value, attributes)
                for value, attributes in zip(
                    end.operands, step_ir.result_attributes(step), strict=True
                )
                if step_ir.text(attributes, "ssft.role") == "loss"
            ]
            measured = [*_gradients(step, names), *_channels(step, names)]
            context.statistics["measurements"] += len(measured)
            for name, value in measured:
                attributes: dict[str, ir.Attribute] = {
                    "ssft.role": ir.StringAttr.get("metric"),
                    "ssft.name": ir.StringAttr.get(name),
                }
                kept.append((value, attributes))
            arguments = step_ir.argument_attributes(step)
            with ir.InsertionPoint(end), end.location:
                ir.Operation.create("func.return", operands=[value for value, _ in kept])
            end.erase()
            step_ir.set_signature(step, arguments, [attributes for _, attributes in kept])


def _gradients(step: ir.Operation, names: dict[int, str]) -> Iterator[tuple[str, ir.Value]]:
    for op in list(step_ir.operations(step)):
        number = updated_parameter(op) if op.name == "ssft.update" else None
        if number in names:
            for gradient in gradients(op):
                yield f"gradient/{names[number]}", gradient


def _channels(step: ir.Operation, names: dict[int, str]) -> Iterator[tuple[str, ir.Value]]:
    forward = forward_operations(step)
    for argument, name in names.items():
        for use in linear_uses(step, argument, forward):
            if len(use.loops) != 2:
                continue
            for dim, loop in enumerate(use.loops):
                kind = use.use_of(dim)
                yield f"{kind}/{name}", _squares(use, kind, loop)


def _squares(use: LinearUse, kind: str, loop: int) -> ir.Value:
    """The sum of squares along `loop` of what a contraction reads beside the matrix, or yields."""
    contraction = use.contraction
    if kind == OUTPUT:
        value, loops = use.op.results[0], contraction.out
    else:
        assert kind == INPUT
        number = 1 - use.operand
        value, loops = use.op.operands[number], (contraction.lhs, contraction.rhs)[number]
    with use.op.location, ir.InsertionPoint.after(use.op):
        return _sum_of_squares(value, loops.index(loop))


def _sum_of_squares(value: ir.Value, kept: int) -> ir.Value:
    """Sums the squares of `value` over all dimensions but `kept`, in f32 at least."""
    type_ = ir.RankedTensorType(value.type)
    wide = type_.element_type if type_.element_type.width > 32 else ir.F32Type.get()

    def body(element: ir.Value, total: ir.Value) -> list[ir.Value]:
        if element.type != wide:
            element = _build.op("arith.extf", [wide], [element]).result
        square = _build.op("arith.mulf", [wide], [element, element]).result
        return [_build.op("arith.addf", [wide], [total, square]).result]

    identity = ir.AffineMap.get_identity(type_.rank)
    channel = ir.AffineMap.get(type_.rank, 0, [ir.AffineDimExpr.get(kept)])
    kinds = ["parallel" if dim == kept else "reduction" for dim in range(type_.rank)]
    start = _build.fill_with_zero(ir.RankedTensorType.get([type_.shape[kept]], wide))
    return _build.structured(
        "linalg.generic",
        [value],
        [start],
        body,
        indexing_maps=ir.ArrayAttr.get([ir.AffineMapAttr.get(m) for m in (identity, channel)]),
        iterator_types=ir.ArrayAttr.get(
            [ir.Attribute.parse(f"#linalg.iterator_type<{kind}>") for kind in kinds]
        ),
    ).result
