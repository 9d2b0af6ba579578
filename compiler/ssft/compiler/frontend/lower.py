"""From the traced step to linalg on tensors."""

from __future__ import annotations

from ssft.compiler.frontend.constants import inline_constants, widen_constants
from ssft.compiler.frontend.locations import (
    FUNCTION,
    locate_everything,
    locate_signature,
    use_node_locations,
)
from ssft.compiler.frontend.scatter import raise_scatter_adds
from ssft.compiler.frontend.step import StepGraph
from ssft.compiler.frontend.unsupported import (
    convert_or_refuse,
    refuse_leftovers,
    refuse_unknown_operators,
    refuse_untraceable,
)
from ssft.dialects._mlir import PassManager, fx_importer, ir, register_torch_dialect

_LOAD_TORCH_CONVERSION = "builtin.module(torch-func-backend-type-conversion)"
_TO_TORCH_BACKEND = (
    "builtin.module(func.func(torch-match-quantized-custom-ops),"
    "torchdynamo-export-to-torch-backend-pipeline{extra-library=})"
)
# torch-backend-to-linalg-on-tensors-backend-pipeline, cut in two where unsupported operations can
# be listed, and without its final verification, which knows nothing of our dialect.
_CONVERT = (
    "builtin.module(func.func(torch-restructure-non-constant-axes,convert-torch-to-tmtensor,"
    "canonicalize,convert-torch-to-linalg,canonicalize,convert-torch-to-scf,convert-torch-to-arith,"
    "convert-torch-to-tensor),convert-torch-conversion-to-mlprogram,"
    "func.func(canonicalize,resolve-shaped-type-result-dims,cse))"
)
# Canonicalization makes literals of constants that the step returns.
_FINALIZE = (
    "builtin.module(torch-func-backend-type-conversion,func.func(canonicalize,"
    "convert-torch-to-arith,torch-finalizing-backend-type-conversion))"
)
_LEFT_TO_FINALIZE = ("torch.constant.", "torch.prim.ListConstruct", "torch.vtensor.literal")
_CLEAN = "builtin.module(canonicalize,cse)"


def import_graph(graph: StepGraph, context: ir.Context) -> ir.Module:
    """Imports the functional step as ``func.func @step`` in the torch dialect.

    Raises `UserError` listing every operation that cannot be imported.
    """
    refuse_untraceable(graph.graph_module.graph)
    widen_constants(graph.graph_module)
    register_torch_dialect(context)
    importer = fx_importer()(context=context)
    use_node_locations(importer, context)
    importer.import_stateless_graph(graph.graph_module.graph, func_name=FUNCTION)
    inline_constants(importer.module)
    locate_signature(importer.module, [argument.name for argument in graph.arguments])
    return importer.module


def to_linalg(module: ir.Module) -> None:
    """Lowers the imported step to linalg on tensors, in place.

    Raises `UserError` listing every operation without a lowering.
    """
    with module.context:
        # The conversion dialect cannot be loaded by name, only by a pass that depends on it.
        _run(ir.Module.parse("module {}"), _LOAD_TORCH_CONVERSION)
    raise_scatter_adds(module)
    refuse_unknown_operators(module)
    convert_or_refuse(module, [_TO_TORCH_BACKEND, _CONVERT])
    refuse_leftovers(module, ("torch.",), allowed=_LEFT_TO_FINALIZE)
    _run(module, _FINALIZE)
    _drop_assertions(module)
    _run(module, _CLEAN)
    refuse_leftovers(module, ("torch.", "torch_c.", "tm_tensor.", "ml_program.", "cf."))
    locate_everything(module)


def _run(module: ir.Module, pipeline: str) -> None:
    with module.context:
        PassManager.parse(pipeline).run(module.operation)


def _drop_assertions(module: ir.Module) -> None:
    """Removes index checks: the ranges on the arguments promise that they hold."""
    assertions: list[ir.Operation] = []

    def visit(op: ir.Operation) -> ir.WalkResult:
        if op.name == "cf.assert":
            assertions.append(op)
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit)
    for op in assertions:
        op.erase()
