"""``cpu-shield-contractions``: keep element-wise fusion away from contractions.

Upstream's element-wise fusion would swallow a producer into the body of a contraction, after which
no BLAS call can compute it. Each contraction moves into a private function; equal ones share it.
Fusion sees only calls, and ``inline`` brings the contractions back afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.analysis.contractions import as_contraction
from ssft.compiler.analysis.forms import starts_from_zeros
from ssft.compiler.analysis.step import find_step
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir

PREFIX = "contraction_"


@dataclass(frozen=True)
class CpuShieldContractionsPass(Pass):
    """Replaces each contraction of ``@step`` by a call of ``@contraction_<n>``.

    A contraction whose result starts from zeros takes the ``linalg.fill`` with it, so that the
    zeros are no operand that fusion could act upon.
    """

    argument: ClassVar[str] = "cpu-shield-contractions"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites ``@step`` and adds the functions at the end of `module`."""
        step = find_step(module)
        found = [
            op.operation
            for op in step.regions[0].blocks[0].operations
            if as_contraction(op.operation) is not None
        ]
        functions: dict[str, str] = {}
        with module.context:
            for contraction in found:
                _shield(module, contraction, functions)
        context.statistics["contractions"] += len(found)
        context.statistics["distinct contractions"] += len(functions)


def _shield(module: ir.Operation, contraction: ir.Operation, functions: dict[str, str]) -> None:
    zeros = starts_from_zeros(contraction)
    operands = list(contraction.operands)[: 2 if zeros else 3]
    result = contraction.results[0].type
    maps = contraction.attributes["indexing_maps"]
    key = f"{zeros} {maps} {[str(v.type) for v in operands]} {result}"
    if key not in functions:
        functions[key] = f"{PREFIX}{len(functions)}"
        _define(module, functions[key], contraction, operands, zeros)
    with ir.InsertionPoint(contraction), contraction.location:
        call = ir.Operation.create(
            "func.call",
            results=[result],
            operands=operands,
            attributes={"callee": ir.FlatSymbolRefAttr.get(functions[key])},
        )
    contraction.results[0].replace_all_uses_with(call.results[0])
    contraction.erase()


def _define(
    module: ir.Operation,
    name: str,
    contraction: ir.Operation,
    operands: list[ir.Value],
    zeros: bool,
) -> None:
    result = contraction.results[0].type
    arguments = ", ".join(f"%a{i}: {value.type}" for i, value in enumerate(operands))
    prologue, last = "", "%a2"
    if zeros:
        last = "%zeros"
        element = ir.ShapedType(result).element_type
        prologue = (
            f"%zero = arith.constant 0.0 : {element}\n%empty = tensor.empty() : {result}\n"
            f"%zeros = linalg.fill ins(%zero : {element}) outs(%empty : {result}) -> {result}\n"
        )
    header = f"func.func private @{name}({arguments}) -> {result}"
    function = ir.Operation.parse(f"{header} {{\n{prologue}return {last} : {result}\n}}")
    block = function.regions[0].blocks[0]
    terminator = block.operations[len(block.operations) - 1].operation
    accumulator = terminator.operands[0]
    copy = contraction.clone(ip=ir.InsertionPoint(terminator))
    copy.operands[0], copy.operands[1] = block.arguments[0], block.arguments[1]
    copy.operands[2] = accumulator
    terminator.operands[0] = copy.results[0]
    body = module.regions[0].blocks[0]
    body.append(function)
