"""First stage of the capture: the forward pass as a graph of ATen operations.

``torch.export`` runs the model's Python once. It convinces libraries that they are being traced
(without that, mask code of transformers branches on tensor values), and its graph takes parameters,
buffers and batch as inputs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.export.graph_signature import InputKind
from torch.fx._lazy_graph_module import _use_lazy_graph_module

from ssft.compiler.diagnostics import UserError
from ssft.compiler.frontend.errors import capture_errors
from ssft.compiler.frontend.locations import user_frames_in_traces
from ssft.compiler.frontend.loss_module import MODEL_PREFIX, LossModule


@dataclass
class ForwardGraph:
    """An exported forward pass.

    `inputs` names, for each placeholder, where its value comes from: ``("weight", name)``,
    ``("batch", key)`` or ``("constant", tensor)``. `mutated` are the buffers that it writes.
    """

    graph_module: fx.GraphModule
    inputs: list[tuple[str, Any]]
    mutated: set[str]

    def run(self, weights: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Evaluates the graph node by node, keeping each node's source frames; returns the loss."""
        sources = {"weight": weights, "batch": batch}
        values = [key if kind == "constant" else sources[kind][key] for kind, key in self.inputs]
        return _ForwardInterpreter(self.graph_module).run(*values)[0]


def export_forward(
    module: LossModule, batch: dict[str, Tensor], canonical: Mapping[str, str]
) -> ForwardGraph:
    """Exports `module`; `canonical` maps every name of a weight to the one it is captured under."""
    with _training_graph(), user_frames_in_traces(), capture_errors():
        program = torch.export.export(module, (batch,), strict=False)
    inputs: list[tuple[str, Any]] = []
    keys = iter(batch)
    for spec in program.graph_signature.input_specs:
        target = spec.target or ""
        if spec.kind in (InputKind.PARAMETER, InputKind.BUFFER):
            inputs.append(("weight", canonical[target.removeprefix(MODEL_PREFIX)]))
        elif spec.kind is InputKind.USER_INPUT:
            inputs.append(("batch", next(keys)))
        elif spec.kind is InputKind.CONSTANT_TENSOR:
            inputs.append(("constant", program.constants[target]))
        else:
            raise UserError(f"the model uses {spec.kind.name.lower()} {target!r} in forward()")
    graph_module = program.graph_module
    mutated = _mutated_buffers(graph_module, inputs)
    return ForwardGraph(graph_module, inputs, mutated)


@contextlib.contextmanager
def _training_graph() -> Iterator[None]:
    # Each pass of the export would write Python source of the whole graph, which nobody runs; that
    # takes a third of the export of a deep model.
    with torch.enable_grad(), _use_lazy_graph_module(True):
        yield


def _mutated_buffers(graph_module: fx.GraphModule, inputs: list[tuple[str, Any]]) -> set[str]:
    """Finds the weights that the graph writes, directly or through views."""
    names = {}
    placeholders = (node for node in graph_module.graph.nodes if node.op == "placeholder")
    for node, (kind, key) in zip(placeholders, inputs, strict=True):
        if kind == "weight":
            names[node] = key
    mutated = set()
    for node in graph_module.graph.nodes:
        for written in _written_arguments(node):
            root = _storage_root(written)
            if root in names:
                mutated.add(names[root])
    return mutated


def _written_arguments(node: fx.Node) -> list[fx.Node]:
    if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
        return []
    if node.target is torch.ops.aten.batch_norm.default:
        # Its schema does not say that the running statistics are written when training.
        return [arg for arg in node.args[3:5] if isinstance(arg, fx.Node) and node.args[5]]
    arguments = node.target._schema.arguments
    return [
        value
        for argument, value in zip(arguments, node.args, strict=False)
        if argument.alias_info is not None
        and argument.alias_info.is_write
        and isinstance(value, fx.Node)
    ]


def _storage_root(node: fx.Node) -> fx.Node:
    while node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload):
        returns = node.target._schema.returns
        if not returns or returns[0].alias_info is None or not isinstance(node.args[0], fx.Node):
            break
        node = node.args[0]
    return node


class _ForwardInterpreter(fx.Interpreter):
    """Runs the exported graph under the second stage's tracer."""

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if target is torch.ops.aten.batch_norm.default:
            return _batch_norm(*args, **kwargs)
        return super().call_function(target, args, kwargs)


def _batch_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    # The composite op hides from functionalization that it writes the running statistics.
    aten = torch.ops.aten
    if running_mean is None or running_var is None:
        return aten._native_batch_norm_legit.no_stats(x, weight, bias, True, momentum, eps)[0]
    if not training:
        # The operation says that it writes the statistics even where it does not.
        shape = [1, -1] + [1] * (x.dim() - 2)
        scale = torch.rsqrt(running_var + eps)
        scale = scale if weight is None else scale * weight
        shift = -running_mean * scale if bias is None else bias - running_mean * scale
        return x * scale.reshape(shape) + shift.reshape(shape)
    return aten._native_batch_norm_legit(
        x, weight, bias, running_mean, running_var, True, momentum, eps
    )[0]
