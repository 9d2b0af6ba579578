"""Constant tensors of the model as ordinary dense attributes.

The importer stores them as resources, blobs beside the module whose bytes no binding gives out.
Every later stage reads and folds dense attributes instead.
"""

from __future__ import annotations

import re

import torch
from torch import fx

from ssft.compiler.diagnostics import UserError
from ssft.compiler.frontend.locations import source_location
from ssft.dialects._mlir import ir

_REFERENCE = re.compile(r'dense_resource<("?)(?P<name>.*)\1> : ')
_BLOB = re.compile(r'^\s*("?)(?P<name>[^"\n]*)\1: "0x(?P<hex>[0-9A-Fa-f]*)"', re.MULTILINE)
# A blob begins with its alignment, as a 32-bit number.
_HEAD = 8


def refuse_constants(graph_module: fx.GraphModule) -> None:
    """Raises a `UserError` for constant tensors that cannot be imported."""
    for node in graph_module.graph.nodes:
        if node.op != "get_attr":
            continue
        value = getattr(graph_module, str(node.target))
        if isinstance(value, torch.Tensor) and value.dtype == torch.bfloat16 and value.dim():
            user = next(iter(node.users), node)
            raise UserError(
                f"a constant tensor of shape {list(value.shape)} has type bfloat16",
                source_location(user),
                ["register it as a buffer, or create it in float32 and convert it with .to()"],
            )


def inline_constants(module: ir.Module) -> None:
    """Replaces ``dense_resource`` values of literals by ``dense`` ones, in place."""
    found: list[ir.Operation] = []

    def visit(op: ir.Operation) -> ir.WalkResult:
        if op.name == "torch.vtensor.literal" and _reference(op.attributes["value"]):
            found.append(op)
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit)
    if not found:
        return
    _, _, resources = module.operation.get_asm().rpartition("{-#")
    blobs = {match["name"]: match["hex"][_HEAD:] for match in _BLOB.finditer(resources)}
    with module.context:
        for op in found:
            value = op.attributes["value"]
            data = blobs[_reference(value) or ""]
            op.attributes["value"] = ir.Attribute.parse(f'dense<"0x{data}"> : {value.type}')


def _reference(attribute: ir.Attribute) -> str | None:
    """Returns the name of the resource that `attribute` is; None if it is something else."""
    if isinstance(attribute, ir.DenseElementsAttr):
        return None
    match = _REFERENCE.match(str(attribute))
    return match["name"] if match else None
