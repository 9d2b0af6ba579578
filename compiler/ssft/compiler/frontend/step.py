"""Second stage of the capture: forward, loss, gradients and update as one functional graph.

The step is traced twice. The first trace runs autograd (custom backward functions included) and
replaces random draws; the second removes in-place operations and applies decompositions.
Attention is computed by its mathematical definition: fused kernels have backward operations
without a lowering, and with only the forward decomposed their gradients would be silently wrong.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, fx
from torch._functorch._aot_autograd.logging_utils import setup_stacktrace_preservation_hooks
from torch.func import functionalize
from torch.fx import traceback as fx_traceback
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.attention import SDPBackend, sdpa_kernel

from ssft.compiler.diagnostics import UserError
from ssft.compiler.frontend.decompositions import decomposition_table
from ssft.compiler.frontend.errors import capture_errors
from ssft.compiler.frontend.forward import ForwardGraph
from ssft.compiler.frontend.index_ranges import guard_indices
from ssft.compiler.frontend.locations import optimizer_trace, source_location
from ssft.compiler.frontend.optimizers import OptimizerSpec
from ssft.compiler.frontend.random import DrawSites
from ssft.compiler.frontend.signature import Argument
from ssft.compiler.frontend.update_rules import clip_coefficient, updates_of

T = TypeVar("T")
U = TypeVar("U")
StateKey = tuple[str, str]  # (PyTorch's state key, parameter name)


@dataclass
class StepValues(Generic[T]):
    """A value for all that the step takes: tensors when it runs, `Argument`s in the signature."""

    weights: dict[str, T]
    states: dict[StateKey, T]
    lr: T
    step: T
    seed: T
    batch: dict[str, T]

    def flat(self) -> list[T]:
        """Returns the values in argument order."""
        scalars = [self.lr, self.step, self.seed]
        return [*self.weights.values(), *self.states.values(), *scalars, *self.batch.values()]

    def like(self, values: Sequence[U]) -> StepValues[U]:
        """Returns `values`, in argument order, in this structure."""
        rest = list(values)
        end = len(self.weights)
        states_end = end + len(self.states)
        lr, step, seed = rest[states_end : states_end + 3]
        return StepValues(
            dict(zip(self.weights, rest[:end], strict=True)),
            dict(zip(self.states, rest[end:states_end], strict=True)),
            lr,
            step,
            seed,
            dict(zip(self.batch, rest[states_end + 3 :], strict=True)),
        )


@dataclass
class StepGraph:
    """The traced step; `arguments` match its placeholders.

    Its outputs are the loss, the new values of `updates`, and the gradients of the parameters
    named in `gradients`, before clipping.
    """

    graph_module: fx.GraphModule
    arguments: list[Argument]
    updates: list[Argument]
    gradients: list[str]


@dataclass
class StepFunction:
    """The training step as a Python function of flat tensors, ready to be traced.

    `trainable` are the names of the weights that the optimizer would update; tracing fills
    `updated` (the arguments updated by the results after the loss), `with_gradient` (the names of
    parameters that the loss depends on) and the number of draws.
    """

    forward: ForwardGraph
    optimizer: OptimizerSpec
    max_grad_norm: float | None
    arguments: StepValues[Argument]
    trainable: list[str]
    draws: DrawSites = field(default_factory=DrawSites)
    updated: list[Argument] = field(default_factory=list)
    with_gradient: list[str] = field(default_factory=list)

    def __call__(self, *flat: Tensor) -> list[Tensor]:
        """Returns the loss, the new values of parameters, states, buffers and step counter, and
        the gradients.
        """
        values = self.arguments.like(flat)
        self.draws.start(values.seed, values.step)
        weights = dict(values.weights)
        for name in self.forward.mutated:
            weights[name] = weights[name].clone()
        for name in self.trainable:
            weights[name] = weights[name].detach().requires_grad_()
        loss = self.forward.run(weights, values.batch)
        gradients = self._gradients(loss, weights)
        fx_traceback.set_stack_trace([optimizer_trace(self.optimizer.frames)])
        fx_traceback._reset_autograd_backward()
        new_weights, new_states = self._update(gradients, values)
        new_weights |= {name: weights[name] for name in self.forward.mutated}
        self.updated = [
            *(self.arguments.weights[name] for name in new_weights),
            *(self.arguments.states[key] for key in new_states),
            self.arguments.step,
        ]
        self.with_gradient = list(gradients)
        count = values.step + 1.0
        updates = [*new_weights.values(), *new_states.values(), count]
        return [loss.detach(), *updates, *gradients.values()]

    def _gradients(self, loss: Tensor, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        if loss.grad_fn is None:
            raise UserError(
                "the loss does not depend on any trainable parameter",
                notes=["check requires_grad and the parameters given to the optimizer"],
            )
        setup_stacktrace_preservation_hooks([loss.grad_fn])
        leaves = [weights[name] for name in self.trainable]
        gradients = torch.autograd.grad(loss, leaves, allow_unused=True)
        # As in torch.optim, a parameter without a gradient is left alone: not even decayed.
        pairs = zip(self.trainable, gradients, strict=True)
        return {name: gradient for name, gradient in pairs if gradient is not None}

    def _update(
        self, gradients: dict[str, Tensor], values: StepValues
    ) -> tuple[dict[str, Tensor], dict[StateKey, Tensor]]:
        if self.max_grad_norm is not None:
            coefficient = clip_coefficient(gradients.values(), self.max_grad_norm)
            gradients = {name: g * coefficient.to(g.dtype) for name, g in gradients.items()}
        rules = updates_of(self.optimizer, list(gradients), values.lr, values.step)
        new_weights: dict[str, Tensor] = {}
        new_states: dict[StateKey, Tensor] = {}
        for name, gradient in gradients.items():
            states = {key: value for (key, of), value in values.states.items() if of == name}
            new_weights[name], new = rules[name](values.weights[name], gradient, states)
            new_states |= {(key, name): value for key, value in new.items()}
        ordered = {key: new_states[key] for key in values.states if key in new_states}
        return new_weights, ordered


@contextmanager
def _tracing() -> Iterator[None]:
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(capture_errors())
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        # Layers then decompose into their formulas instead of calling into a library.
        stack.enter_context(torch.backends.mkldnn.flags(enabled=False))
        stack.enter_context(fx_traceback.preserve_node_meta())
        yield


def trace_step(step: StepFunction, example: StepValues[Tensor]) -> StepGraph:
    """Traces `step` over the `example` tensors (real or fake) into a functional graph.

    States and seed that turn out to be unused are no arguments of the result. Marks the index
    ranges found in the graph on the batch arguments.
    """
    flat = example.flat()
    with _tracing(), torch.autograd.detect_anomaly(check_nan=False):
        traced = make_fx(
            step,
            decomposition_table=step.draws.decompositions(),
            tracing_mode="fake",
            _allow_non_fake_inputs=True,
        )(*flat)
    traced.graph.eliminate_dead_code()
    arguments = step.arguments.flat()
    guard_indices(traced.graph, arguments, flat)
    with _tracing():
        functional = make_fx(
            functionalize(_Replay(traced).run, remove="mutations"),
            decomposition_table=decomposition_table(),
            tracing_mode="fake",
            _allow_non_fake_inputs=True,
        )(*flat)
    functional.graph.eliminate_dead_code()
    _refuse_fused_attention(functional.graph)
    kept = _drop_unused(functional.graph, arguments, step)
    functional.recompile()
    return StepGraph(functional, kept, step.updated, step.with_gradient)


class _Replay(fx.Interpreter):
    """Runs the first trace under the second.

    Later views are only valid for the strides of the first trace, so results whose strides a
    decomposition has changed are laid out as they were.
    """

    def run_node(self, n: fx.Node) -> Any:
        """Runs one node; a failure is reported at the node's source line."""
        try:
            return self._like(super().run_node(n), n.meta.get("val"))
        except UserError:
            raise
        except Exception as error:
            first = str(error).strip().splitlines()[:1]
            raise UserError(
                f"{n.target} cannot be captured: {''.join(first)}", source_location(n)
            ) from error

    def _like(self, result: Any, expected: Any) -> Any:
        if not isinstance(result, Tensor) or not isinstance(expected, Tensor):
            return result
        if result.stride() == expected.stride() or 0 in expected.stride():
            return result
        order = sorted(range(expected.dim()), key=lambda dim: -expected.stride(dim))
        inverse = [order.index(dim) for dim in range(expected.dim())]
        return result.permute(order).contiguous().permute(inverse)


def _refuse_fused_attention(graph: fx.Graph) -> None:
    for node in graph.nodes:
        if "scaled_dot_product" in str(node.target):
            raise UserError(
                f"attention was captured as the fused kernel {node.target}, whose gradient "
                "cannot be lowered",
                source_location(node),
                ["use the model's eager attention implementation"],
            )


def _drop_unused(graph: fx.Graph, arguments: list[Argument], step: StepFunction) -> list[Argument]:
    """Erases state and seed placeholders without users; returns the arguments that are left."""
    updated = {id(argument) for argument in step.updated}
    kept = []
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    for node, argument in zip(placeholders, arguments, strict=True):
        if argument.role in ("state", "seed") and not node.users:
            graph.erase_node(node)
            continue
        if argument.role == "trainable" and id(argument) not in updated:
            argument.role = "frozen"
        kept.append(argument)
    return kept
