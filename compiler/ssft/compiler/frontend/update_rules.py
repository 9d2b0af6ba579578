"""Update formulas of ``torch.optim`` as pure functions of tensors.

Each rule mirrors the single-tensor implementation of its class in torch 2.13. From the gradient to
the new parameter and the new states every operation is element-wise, with 0-d tensors as the only
operands of another shape: passes that slice updates rely on it. Scalars that depend on the learning
rate or the step count are computed in float64 and rounded once, where they meet a tensor, as
PyTorch does with Python floats. Half-precision parameters are updated in float32, and what is new
is rounded once, as PyTorch's fused implementations do: in bfloat16 0.999 is 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ssft.compiler.frontend.optimizers import OptimizerSpec, ParameterGroup

REMAINDER = "master_remainder"
"""The state of a half-precision parameter that holds its master weight minus the parameter.

In float32, so that the sum of the two is the master weight exactly; zero at the start, as all
states are.
"""


def state_keys(
    spec: OptimizerSpec, options: Mapping[str, Any], parameter: torch.dtype
) -> tuple[str, ...]:
    """Names of the states of each parameter of a type; all start at 0.

    Those of PyTorch's ``optimizer.state``, and `REMAINDER`.
    """
    master = (REMAINDER,) if spec.has_master(parameter) else ()
    if spec.kind == "SGD":
        return (*(("momentum_buffer",) if options["momentum"] else ()), *master)
    amsgrad = ("max_exp_avg_sq",) if options["amsgrad"] else ()
    return ("exp_avg", "exp_avg_sq", *amsgrad, *master)


class UpdateRule:
    """The update of one parameter group at one step.

    `lr` and `steps_done` are 0-d float64 tensors: the base learning rate and the number of steps
    made before this one.
    """

    def __init__(self, spec: OptimizerSpec, group: ParameterGroup, lr: Tensor, steps_done: Tensor):
        self.kind = spec.kind
        self.options = group.options
        self.lr = lr if group.lr_scale == 1.0 else lr * group.lr_scale
        if self.kind == "SGD":
            self._prepare_sgd(steps_done)
        else:
            self._prepare_adam(steps_done)

    def _prepare_sgd(self, steps_done: Tensor) -> None:
        # PyTorch's first step copies the gradient into the buffer, whatever the dampening.
        dampening = self.options["dampening"]
        self.gain: Tensor | None = None
        if self.options["momentum"] and dampening:
            self.gain = 1.0 - dampening * (steps_done > 0).to(torch.float64)

    def _prepare_adam(self, steps_done: Tensor) -> None:
        beta1, beta2 = self.options["betas"]
        count = steps_done + 1.0
        self.step_size = self.lr / (1.0 - torch.pow(beta1, count))
        self.second_scale = torch.sqrt(1.0 - torch.pow(beta2, count))
        self.keep = 1.0 - self.lr * self.options["weight_decay"]

    def __call__(
        self, parameter: Tensor, gradient: Tensor, states: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the new parameter and the new states; all have the parameter's shape."""
        half = parameter.dtype in (torch.bfloat16, torch.float16)
        dtype = torch.float32 if half else parameter.dtype
        if self.options["maximize"]:
            gradient = -gradient
        weight = parameter.to(dtype)
        moments = {key: state.to(dtype) for key, state in states.items()}
        remainder = moments.pop(REMAINDER, None)
        if remainder is not None:
            weight = weight + remainder
        rule = self._sgd if self.kind == "SGD" else self._adam
        weight, moments = rule(weight, gradient.to(dtype), moments)
        new = weight.to(parameter.dtype)
        if remainder is not None:
            moments[REMAINDER] = weight - new.to(dtype)
        return new, {key: state.to(states[key].dtype) for key, state in moments.items()}

    def _sgd(
        self, parameter: Tensor, gradient: Tensor, states: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        dtype, momentum = parameter.dtype, self.options["momentum"]
        if self.options["weight_decay"]:
            gradient = gradient + parameter * self.options["weight_decay"]
        new_states = {}
        if momentum:
            damped = gradient if self.gain is None else gradient * self.gain.to(dtype)
            buffer = states["momentum_buffer"] * momentum + damped
            new_states["momentum_buffer"] = buffer
            gradient = gradient + buffer * momentum if self.options["nesterov"] else buffer
        return parameter - gradient * self.lr.to(dtype), new_states

    def _adam(
        self, parameter: Tensor, gradient: Tensor, states: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        dtype, options = parameter.dtype, self.options
        beta1, beta2 = options["betas"]
        if options["weight_decay"]:
            if self.kind == "AdamW":
                parameter = parameter * self.keep.to(dtype)
            else:
                gradient = gradient + parameter * options["weight_decay"]
        first = _lerp(states["exp_avg"], gradient, 1.0 - beta1)
        second = states["exp_avg_sq"] * beta2 + gradient * gradient * (1.0 - beta2)
        new_states = {"exp_avg": first, "exp_avg_sq": second}
        if options["amsgrad"]:
            second = torch.maximum(states["max_exp_avg_sq"], second)
            new_states["max_exp_avg_sq"] = second
        denominator = torch.sqrt(second) / self.second_scale.to(dtype) + options["eps"]
        return parameter - first / denominator * self.step_size.to(dtype), new_states


def _lerp(start: Tensor, end: Tensor, weight: float) -> Tensor:
    # The same two branches as ATen's lerp.
    if weight < 0.5:
        return start + (end - start) * weight
    return end - (end - start) * (1.0 - weight)


def clip_coefficient(gradients: Iterable[Tensor], max_norm: float) -> Tensor:
    """Returns the 0-d factor by which ``torch.nn.utils.clip_grad_norm_`` multiplies gradients.

    The squared norm is a chain of one full reduction per gradient, so that a later pass can take a
    single gradient out of it. Sums of half-precision gradients are made in float32.
    """
    total: Tensor | None = None
    for gradient in gradients:
        if gradient.dtype in (torch.bfloat16, torch.float16):
            gradient = gradient.to(torch.float32)
        squares = (gradient * gradient).sum()
        total = squares if total is None else total + squares
    assert total is not None, "clipping without gradients"
    return torch.clamp(max_norm / (torch.sqrt(total) + 1e-6), max=1.0)


def updates_of(
    spec: OptimizerSpec, names: Sequence[str], lr: Tensor, steps_done: Tensor
) -> dict[str, UpdateRule]:
    """Returns the rule of each parameter in `names`; parameters of a group share its scalars."""
    rules: dict[str, UpdateRule] = {}
    for group in spec.groups:
        members = [name for name in names if name in group.names]
        if members:
            rules |= dict.fromkeys(members, UpdateRule(spec, group, lr, steps_done))
    return rules
