"""``ssft-expose-gradients``: make the step return the gradient of everything that trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.cost import gradients
from ssft.compiler.analysis.updates import updated_parameter
from ssft.compiler.passes.base import Pass, PassContext
from ssft.compiler.plan_schema import read_signature
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class ExposeGradientsPass(Pass):
    """Adds one result with role ``gradient`` per gradient operand of each ``ssft.update``.

    The gradients are those before clipping. A masked parameter has one per tile, with the tile's
    ``ssft.tile``; a tied parameter whose gradient is a sum of several has one per addend.
    """

    argument: ClassVar[str] = "ssft-expose-gradients"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Appends results to ``@step``."""
        step = step_ir.find_step(module)
        signature = read_signature(module)
        with module.context, step.location:
            arguments = step_ir.argument_attributes(step)
            results = step_ir.result_attributes(step)
            terminator = step_ir.terminator(step)
            values = list(terminator.operands)
            for op in step_ir.operations(step):
                if op.name != "ssft.update":
                    continue
                number = updated_parameter(op)
                if number is None:
                    context.error(op, "the weight of this update is not a part of an argument")
                    return
                attributes = {
                    "ssft.role": ir.StringAttr.get("gradient"),
                    "ssft.name": ir.StringAttr.get(signature.arguments[number].name),
                }
                sliced = "ssft.tile" in op.attributes
                attributes |= _layout(op.attributes if sliced else arguments[number])
                for gradient in gradients(op):
                    values.append(gradient)
                    results.append(attributes)
                    context.statistics["gradients exposed"] += 1
            with ir.InsertionPoint(terminator), terminator.location:
                ir.Operation.create("func.return", operands=values)
            terminator.erase()
            step_ir.set_signature(step, arguments, results)


def _layout(attributes: Mapping[str, ir.Attribute]) -> dict[str, ir.Attribute]:
    return {key: attributes[key] for key in ("ssft.tile", "ssft.permuted") if key in attributes}
