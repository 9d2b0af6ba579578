"""From a model, a batch and an optimizer to one MLIR module with ``@step``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, fx, nn

from ssft.compiler.analysis.step import (
    argument_attributes,
    find_step,
    result_attributes,
    text,
    updated_argument,
)
from ssft.compiler.diagnostics import SourceLocation, UserError
from ssft.compiler.frontend.abstract import without_data
from ssft.compiler.frontend.attributes import annotate, optimizer_attribute
from ssft.compiler.frontend.forward import export_forward
from ssft.compiler.frontend.layers.capture import capture_by_layers
from ssft.compiler.frontend.loss_module import LossFunction, LossModule, split_batch
from ssft.compiler.frontend.lower import import_graph, to_linalg
from ssft.compiler.frontend.model_file import ModelDefinition
from ssft.compiler.frontend.optimizers import OptimizerLike, OptimizerSpec, read_optimizer
from ssft.compiler.frontend.signature import Argument
from ssft.compiler.frontend.step import StepFunction, StepGraph, StepValues, trace_step
from ssft.compiler.frontend.update_rules import state_keys
from ssft.dialects import new_context
from ssft.dialects._mlir import ir


@dataclass
class CapturedStep:
    """A training step in MLIR and what is needed to run it.

    `module` (in `context`) holds ``func.func @step`` as linalg on tensors. `weights` are the
    parameters and buffers by the names of the arguments: the model's own tensors, not copies, and
    without data if the capture was abstract. `example_batch` holds the batch's tensors.
    """

    context: ir.Context
    module: ir.Module
    weights: dict[str, Tensor]
    optimizer: OptimizerSpec
    example_batch: dict[str, Tensor]
    arguments: list[Argument] = field(repr=False)
    updates: list[Argument] = field(repr=False)
    trace: Callable[[], _Traced] = field(repr=False)

    @cached_property
    def _traced(self) -> _Traced:
        return self.trace()

    @property
    def graph(self) -> fx.GraphModule:
        """The functional FX graph: PyTorch can run it on the arguments in order.

        It returns the loss, the new values of `updates`, and the gradients.
        """
        return self._traced.graph.graph_module

    @property
    def torch_module_text(self) -> str:
        """The step as it was imported, in the torch dialect, with locations."""
        return self._traced.torch_text


@dataclass
class _Traced:
    """A step that was traced whole, imported and lowered."""

    graph: StepGraph
    module: ir.Module
    torch_text: str


@dataclass
class _Weights:
    """The model's parameters and buffers, each once."""

    parameters: dict[str, nn.Parameter]
    buffers: dict[str, Tensor]
    canonical: dict[str, str]

    @classmethod
    def of(cls, model: nn.Module) -> _Weights:
        parameters = dict(model.named_parameters())
        buffers = dict(model.named_buffers())
        first = {id(tensor): name for name, tensor in (parameters | buffers).items()}
        everything = [
            *model.named_parameters(remove_duplicate=False),
            *model.named_buffers(remove_duplicate=False),
        ]
        return cls(parameters, buffers, {name: first[id(tensor)] for name, tensor in everything})

    def tensors(self) -> dict[str, Tensor]:
        """All of them by their first name, without autograd."""
        return {name: tensor.detach() for name, tensor in (self.parameters | self.buffers).items()}

    def aliases(self, name: str) -> tuple[str, ...]:
        """The other names of the tensor called `name`."""
        same = (alias for alias, first in self.canonical.items() if first == name)
        return tuple(alias for alias in same if alias != name)


def capture(
    model: nn.Module,
    batch: Mapping[str, Any],
    *,
    loss: LossFunction | None = None,
    optimizer: OptimizerLike | None = None,
    max_grad_norm: float | None = None,
    moments: str = "",
    master_weights: bool = False,
    source: str | None = None,
) -> CapturedStep:
    """Captures one training step of `model`, in the mode (train or eval) that it is in.

    `batch` maps the keyword arguments of the model to example tensors, whose shapes and dtypes the
    step is compiled for, or to constants. `loss(outputs, batch)` returns the scalar to minimise
    (default: ``outputs.loss``, or an output that is one number). `optimizer` is a fresh
    ``torch.optim`` AdamW, Adam or SGD instance or a function from parameters to one (default:
    AdamW, learning rate 2e-4, no weight decay). `max_grad_norm` clips the gradient's 2-norm.
    Optimizer states of bfloat16 and float16 parameters are of the type `moments`, ``"f32"`` or
    empty for that of the parameter; with `master_weights` f32 masters are kept of such parameters.
    `source` is the model file's path, for the record.

    Raises `UserError` for whatever the user can mend: an operation without a lowering, control flow
    that depends on tensor values, an optimizer option that is not mirrored, and so on.
    """
    _check_model(model)
    tensors, constants = split_batch(batch)
    weights = _Weights.of(model)
    spec = read_optimizer(optimizer, weights.parameters, moments, master_weights)
    if max_grad_norm is not None and not max_grad_norm > 0:
        raise UserError(f"max_grad_norm is {max_grad_norm}, not a positive number")
    forward = export_forward(LossModule(model, constants, loss), tensors, weights.canonical)
    example, arguments = _inputs(weights, spec, tensors)
    trainable = [
        name for name, argument in arguments.weights.items() if argument.role == "trainable"
    ]
    step = StepFunction(forward, spec, max_grad_norm, arguments, trainable)
    context = new_context()
    lowering = _Lowering(context, spec, max_grad_norm, source)
    module = capture_by_layers(step, example, lambda *short: lowering.trace(*short).module)
    trace = partial(lowering.trace, step, example)
    if module is None:
        traced = trace()
        module, trace = traced.module, lambda: traced
    found, updates = _signature(module, arguments)
    return CapturedStep(context, module, example.weights, spec, tensors, found, updates, trace)


def capture_file(
    definition: ModelDefinition,
    *,
    abstract: bool = False,
    max_grad_norm: float | None = None,
    moments: str = "",
    master_weights: bool = False,
) -> CapturedStep:
    """Captures the step that a model file defines.

    With `abstract`, ``model()`` and ``batch()`` run on tensors without data: any size fits in
    memory, and the result has no weights. `max_grad_norm` overrides the file's; `moments` and
    `master_weights` are those of `capture`.
    """
    with without_data() if abstract else contextlib.nullcontext(), definition.running():
        model = definition.call("model", abstract=abstract)
        _check_model(model)
        batch = definition.call("batch", abstract=abstract)
        limit = max_grad_norm if max_grad_norm is not None else definition.max_grad_norm
        try:
            return capture(
                model,
                batch,
                loss=definition.loss,
                optimizer=definition.optimizer,
                max_grad_norm=limit,
                moments=moments,
                master_weights=master_weights,
                source=definition.source,
            )
        except UserError as error:
            error.location = error.location or SourceLocation(definition.source)
            raise


def _check_model(model: object) -> None:
    if not isinstance(model, nn.Module):
        raise UserError(f"model() returned {type(model).__name__}, not a torch.nn.Module")


def _inputs(
    weights: _Weights, spec: OptimizerSpec, batch: dict[str, Tensor]
) -> tuple[StepValues[Tensor], StepValues[Argument]]:
    """Returns example values of all arguments of the step, and their meaning."""
    tensors = weights.tensors()
    roles: dict[str, Argument] = {}
    states: dict[tuple[str, str], Tensor] = {}
    for name in tensors:
        group = spec.group_of(name)
        parameter = weights.parameters.get(name)
        if parameter is None or not parameter.requires_grad:
            group = None
        role = "frozen" if group is None else "trainable"
        is_buffer = parameter is None
        roles[name] = Argument(role, name, aliases=weights.aliases(name), buffer=is_buffer)
        dtype = tensors[name].dtype
        for key in () if group is None else state_keys(spec, group.options, dtype):
            states[key, name] = torch.zeros_like(tensors[name], dtype=spec.state_dtype(dtype))
    # All of one state, then all of the next.
    states = {pair: states[pair] for pair in sorted(states, key=lambda pair: pair[0])}
    example = StepValues(
        tensors,
        states,
        torch.zeros((), dtype=torch.float64),
        torch.zeros((), dtype=torch.float64),
        torch.zeros((), dtype=torch.int64),
        dict(batch),
    )
    arguments = StepValues(
        roles,
        {(key, name): Argument("state", name, key) for key, name in states},
        Argument("hyper", "lr"),
        Argument("step", "step"),
        Argument("seed", "seed"),
        {key: Argument("input", key) for key in batch},
    )
    return example, arguments


@dataclass(frozen=True)
class _Lowering:
    """From a step to MLIR, in one context."""

    context: ir.Context
    spec: OptimizerSpec
    max_grad_norm: float | None
    source: str | None

    def trace(self, step: StepFunction, example: StepValues[Tensor]) -> _Traced:
        """Traces `step`, imports it and lowers it to linalg."""
        graph = trace_step(step, example)
        module = import_graph(graph, self.context)
        limit = self.max_grad_norm
        attributes = {
            "optimizer": optimizer_attribute(self.spec),
            "source": self.source,
            "max_grad_norm": None if limit is None else float(limit),
        }
        annotate(module, graph.arguments, graph.updates, graph.gradients, attributes)
        torch_text = module.operation.get_asm(enable_debug_info=True)
        to_linalg(module)
        return _Traced(graph, module, torch_text)


def _signature(
    module: ir.Module, known: StepValues[Argument]
) -> tuple[list[Argument], list[Argument]]:
    """Returns the arguments of ``@step`` and those that its results update, as `known` has them."""
    by_name = {(argument.state, argument.name): argument for argument in known.flat()}
    step = find_step(module.operation)
    arguments = []
    for attributes in argument_attributes(step):
        argument = by_name[text(attributes, "ssft.state"), str(text(attributes, "ssft.name"))]
        argument.role = str(text(attributes, "ssft.role"))
        arguments.append(argument)
    numbers = map(updated_argument, result_attributes(step))
    return arguments, [arguments[number] for number in numbers if number is not None]
