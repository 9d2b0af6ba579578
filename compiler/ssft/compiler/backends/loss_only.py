"""From a training step to its loss alone."""

from __future__ import annotations

from ssft.compiler.analysis.step import terminator
from ssft.compiler.diagnostics import UserError
from ssft.compiler.outlining import parse_flat
from ssft.compiler.pipelines.run import run_pipeline
from ssft.compiler.plan_schema import find_step, read_signature
from ssft.dialects._mlir import ir


def loss_only(plan_text: str) -> str:
    """The plan with a step that returns only the loss: no backward pass, no update.

    The arguments stay as they are, so the same memory can be passed to both steps.
    """
    module = parse_flat(plan_text)
    kept = [result.index for result in read_signature(module).results_with_role("loss")]
    if not kept:
        raise UserError("the plan has no result with the role 'loss', so it cannot be evaluated")
    step = find_step(module)
    end = terminator(step)
    values = [end.operands[index] for index in kept]
    with module.context, end.location:
        ir.Operation.create("func.return", operands=values, ip=ir.InsertionPoint(end))
        end.erase()
        inputs = list(step.attributes["function_type"].value.inputs)
        function_type = ir.FunctionType.get(inputs, [value.type for value in values])
        attributes = [step.attributes["res_attrs"][index] for index in kept]
        step.attributes["function_type"] = ir.TypeAttr.get(function_type)
        step.attributes["res_attrs"] = ir.ArrayAttr.get(attributes)
    run_pipeline(module, "builtin.module(canonicalize,cse)")
    return str(module)
