"""Constant tensors of the model as ordinary dense attributes.

The importer stores them as resources, blobs beside the module whose bytes no binding gives out.
Every later stage reads and folds dense attributes instead.
"""

from __future__ import annotations

import re

import torch
from torch import fx

from ssft.dialects._mlir import ir

_REFERENCE = re.compile(r'dense_resource<("?)(?P<name>.*)\1> : ')
_BLOB = re.compile(r'^\s*("?)(?P<name>[^"\n]*)\1: "0x(?P<hex>[0-9A-Fa-f]*)"', re.MULTILINE)
# A blob begins with its alignment, as a 32-bit number.
_HEAD = 8


def widen_constants(graph_module: fx.GraphModule) -> None:
    """Makes bfloat16 constants float32 ones that are converted, in place: the same values.

    The importer goes through NumPy, which has no bfloat16.
    """
    for node in list(graph_module.graph.nodes):
        if node.op != "get_attr":
            continue
        value = getattr(graph_module, str(node.target))
        if not isinstance(value, torch.Tensor) or value.dtype != torch.bfloat16 or not value.dim():
            continue
        wide = f"{node.target}_f32".replace(".", "_")
        graph_module.register_buffer(wide, value.to(torch.float32))
        with graph_module.graph.inserting_before(node):
            constant = graph_module.graph.get_attr(wide)
            constant.meta = {**node.meta, "val": node.meta["val"].to(torch.float32)}
            narrow = graph_module.graph.call_function(
                torch.ops.prims.convert_element_type.default, (constant, torch.bfloat16)
            )
            narrow.meta = dict(node.meta)
        node.replace_all_uses_with(narrow)
        graph_module.graph.erase_node(node)


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
