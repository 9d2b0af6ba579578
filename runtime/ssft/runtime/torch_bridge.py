"""Masked dense training in PyTorch: the oracle that a plan's numbers are compared with.

The only module of the runtime that imports torch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from ssft.compiler.diagnostics import UserError
from ssft.compiler.frontend.loss_module import LossModule, split_batch
from ssft.compiler.frontend.model_file import ModelDefinition, load_model_file
from ssft.compiler.frontend.random import DrawSites
from ssft.compiler.plan_schema import ArgumentInfo, StepSignature


class MaskedTraining:
    """Trains a module in eager PyTorch with gradient, moments, clipping and decay masked.

    This is what every plan is defined to equal: the gradient of each parameter is multiplied by its
    0/1 mask, the norm for clipping is that of the masked gradients, and elements outside the mask
    keep their value, whatever the optimizer would do to them.

    Args:
        model: the module; its parameters are trained in place.
        masks: 0/1 tensors by parameter name; parameters without one are frozen.
        optimizer: maps a list of parameters to a ``torch.optim`` optimizer.
        loss: as in the model file, or None.
        max_grad_norm: clip to this 2-norm.
        seed: of the random draws (dropout), as the plan's ``seed`` argument.
        constants: entries of the batch that are no tensors, which a plan has compiled in.
    """

    def __init__(
        self,
        model: nn.Module,
        masks: Mapping[str, Tensor],
        optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer] | None = None,
        loss: Callable[..., Any] | None = None,
        max_grad_norm: float | None = None,
        seed: int = 0,
        constants: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.constants = dict(constants or {})
        self.loss = loss
        self.max_grad_norm = max_grad_norm
        self.seed = seed
        self.steps = 0
        self.gradients: dict[str, Tensor] = {}
        """Masked gradients of the last step, before clipping."""
        named = dict(model.named_parameters())
        unknown = [name for name in masks if name not in named]
        if unknown:
            raise UserError(f"the model has no parameter '{unknown[0]}'")
        for name, parameter in named.items():
            parameter.requires_grad_(name in masks)
        self.trained = {name: named[name] for name in masks}
        self.masks = {name: mask.to(named[name].dtype) for name, mask in masks.items()}
        build = optimizer or (lambda params: torch.optim.AdamW(params, lr=2e-4, weight_decay=0.0))
        self.optimizer = build(list(self.trained.values()))

    def step(self, batch: Mapping[str, Any]) -> float:
        """Trains on one batch; returns the loss before the update."""
        loss = self.forward(batch)
        self.optimizer.zero_grad(set_to_none=True)
        with self._draws():
            loss.backward()
        before = {name: parameter.detach().clone() for name, parameter in self.trained.items()}
        for name, parameter in self.trained.items():
            if parameter.grad is not None:
                parameter.grad.mul_(self.masks[name])
                self.gradients[name] = parameter.grad.detach().clone()
        if self.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(list(self.trained.values()), self.max_grad_norm)
        self.optimizer.step()
        with torch.no_grad():
            for name, parameter in self.trained.items():
                kept = self.masks[name] == 0
                parameter.copy_(torch.where(kept, before[name], parameter))
        self.steps += 1
        return float(loss.detach())

    def forward(self, batch: Mapping[str, Any]) -> Tensor:
        """Returns the loss of a batch, with the random draws of the next step."""
        given = self.constants | {key: _tensor(value) for key, value in batch.items()}
        tensors, constants = split_batch(given)
        module = LossModule(self.model, constants, self.loss)
        with self._draws():
            return module(tensors)

    def set_masks(self, masks: Mapping[str, Tensor]) -> None:
        """Trains other elements of the same parameters from now on.

        Elements that trained before and still do keep their optimizer states, others start with
        zeros; the count of steps, which Adam's bias correction follows, goes on.
        """
        for name, parameter in self.trained.items():
            self.masks[name] = masks[name].to(parameter.dtype)
            for value in self.optimizer.state[parameter].values():
                if isinstance(value, Tensor) and value.shape == parameter.shape != ():
                    value.mul_(self.masks[name])

    def set_state(
        self,
        weights: Mapping[str, np.ndarray],
        states: Mapping[str, Mapping[str, np.ndarray]],
    ) -> None:
        """Replaces weights and optimizer states, both in original names and layout."""
        load_weights(self.model, weights)
        for name, parameter in self.trained.items():
            held = self.optimizer.state[parameter]
            for key, value in states.get(name, {}).items():
                if key in held:
                    held[key].copy_(_like(value, held[key]))

    def state(self, name: str, key: str) -> Tensor:
        """Returns an optimizer state of a parameter, e.g. ``"exp_avg"``; zeros before step 1.

        It is zero outside the mask, where decay by way of the gradient would leave the weights.
        """
        parameter = self.trained[name]
        value = self.optimizer.state[parameter].get(key)
        return torch.zeros_like(parameter) if value is None else value.detach() * self.masks[name]

    @contextlib.contextmanager
    def _draws(self) -> Iterator[None]:
        """Runs attention as plain mathematics, with the plan's random numbers."""
        with sdpa_kernel(SDPBackend.MATH), _SeededDraws(self.seed, self.steps):
            yield


class _SeededDraws(TorchDispatchMode):
    """Replaces ATen's random operations by the plan's counter-based ones."""

    def __init__(self, seed: int, step: int) -> None:
        super().__init__()
        self._sites = DrawSites()
        self._sites.start(torch.tensor(seed), torch.tensor(float(step), dtype=torch.float64))
        self._table = self._sites.decompositions()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in self._table:
            func = self._table[func]
        return func(*args, **(kwargs or {}))


def masked_training(
    signature: StepSignature, weights: Mapping[str, np.ndarray], source: str | None = None
) -> MaskedTraining:
    """Returns the PyTorch oracle of a plan.

    Args:
        signature: the plan's.
        weights: parameters and buffers to start from, original names and layout.
        source: the model file; default: the one that the plan was compiled from.
    """
    path = source or signature.source
    if path is None:
        raise UserError(
            "the plan does not say which model file it came from", notes=["add --model FILE"]
        )
    definition = load_model_file(path)
    with definition.running():
        model = definition.call("model")
        _, constants = split_batch(definition.call("batch"))
    load_weights(model, weights)
    return MaskedTraining(
        model,
        plan_masks(signature),
        _optimizer(definition),
        definition.loss,
        signature.max_grad_norm,
        constants=constants,
    )


def load_weights(model: nn.Module, weights: Mapping[str, np.ndarray]) -> None:
    """Copies `weights` into the parameters and buffers of `model` that have these names."""
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    with torch.no_grad():
        for name, value in weights.items():
            if name in tensors:
                tensors[name].copy_(_like(value, tensors[name]))


def plan_masks(signature: StepSignature) -> dict[str, Tensor]:
    """Returns the 0/1 mask of every parameter that trains, in original layout."""
    return {a.name: mask_of(a) for a in signature.with_role("trainable")}


def mask_of(argument: ArgumentInfo) -> Tensor:
    """Returns the 0/1 mask of one parameter."""
    if argument.mask is None:
        return torch.ones(argument.shape)
    if argument.mask.combine == "rectangles":
        mask = torch.zeros(argument.shape)
        for tile in argument.mask.rectangles:
            rows = range(argument.shape[0]) if tile.rows is None else tile.rows
            columns = range(argument.shape[1]) if tile.columns is None else tile.columns
            for row in rows:
                mask[row, list(columns)] = 1.0
        return mask
    sides = []
    for dim, indices in enumerate((argument.mask.rows, argument.mask.columns)):
        if dim < len(argument.shape):
            line = torch.ones(argument.shape[dim])
            if indices is not None:
                line.zero_()[list(indices)] = 1.0
            sides.append(line.reshape([-1 if d == dim else 1 for d in range(len(argument.shape))]))
    if len(sides) == 1:
        return sides[0].expand(argument.shape).clone()
    rows, columns = sides
    both = rows + columns if argument.mask.combine == "union" else rows * columns
    return both.clamp(max=1.0).expand(argument.shape).clone()


def _optimizer(definition: ModelDefinition) -> Callable[..., torch.optim.Optimizer] | None:
    return definition.optimizer


def _like(value: np.ndarray, tensor: Tensor) -> Tensor:
    array = torch.from_numpy(np.asarray(value, order="C"))
    # bfloat16 travels as the bits of uint16; moments of such weights may be f32 in the plan.
    travels = tensor.dtype == torch.bfloat16 and array.dtype == torch.uint16
    return array.view(torch.bfloat16) if travels else array


def _tensor(value: Any) -> Any:
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def example_batches(source: str, *, forever: bool) -> Iterator[dict[str, Any]]:
    """Yields the ``batch()`` of a model file, once or for ever."""
    definition = load_model_file(source)
    with definition.running():
        tensors, _ = split_batch(definition.call("batch"))
    while True:
        yield tensors
        if not forever:
            return
