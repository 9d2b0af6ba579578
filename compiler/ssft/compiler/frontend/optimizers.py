"""The user's ``torch.optim`` instance, read into plain numbers.

Every option of the three supported optimizers is either mirrored by the captured step or refused
by name; none is ignored. Options that only choose between implementations of the same formula
(``foreach``, ``fused``, ``capturable``) have no meaning here and are accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ssft.compiler.diagnostics import UserError
from ssft.compiler.frontend.errors import from_exception
from ssft.compiler.frontend.locations import Frame, frames_of_optimizers

DEFAULT_LR = 2e-4
_SUPPORTED: dict[type, str] = {
    torch.optim.AdamW: "AdamW",
    torch.optim.Adam: "Adam",
    torch.optim.SGD: "SGD",
}
_HALF = (torch.bfloat16, torch.float16)
MOMENTS = {"": None, "f32": torch.float32}
"""Names of element types that optimizer states can be given; empty: that of the parameter."""
# Options that carry a number or a flag of the formula, in the order in which they are reported.
_FORMULA_OPTIONS: dict[str, tuple[str, ...]] = {
    "AdamW": ("betas", "eps", "weight_decay", "amsgrad", "maximize"),
    "Adam": ("betas", "eps", "weight_decay", "amsgrad", "maximize"),
    "SGD": ("momentum", "dampening", "weight_decay", "nesterov", "maximize"),
}
# `decoupled_weight_decay` is how torch.optim.AdamW tells its base class Adam what it is.
_IMPLEMENTATION_OPTIONS = ("params", "param_names", "lr", "foreach", "fused", "capturable")
_REFUSED_WHEN_TRUE = ("differentiable",)


@dataclass(frozen=True)
class ParameterGroup:
    """Hyper-parameters shared by some parameters.

    `lr_scale` is this group's learning rate divided by the optimizer's (its first group's):
    the step takes one learning rate as an argument, and schedulers scale all groups alike.
    """

    names: tuple[str, ...]
    options: Mapping[str, Any]
    lr_scale: float = 1.0


@dataclass(frozen=True)
class OptimizerSpec:
    """What the captured step needs to know of an optimizer.

    `kind` is ``"AdamW"``, ``"Adam"`` or ``"SGD"``; `lr` is the default value of the learning-rate
    argument. `groups` partition the names of the parameters that the optimizer updates. States of
    half-precision parameters are of type `moments`, a name in `MOMENTS`; with `master_weights` such
    parameters have a further state that holds what rounding them has left over. `frames` are the
    lines that made the optimizer, outermost first, if that could be seen.
    """

    kind: str
    lr: float
    groups: tuple[ParameterGroup, ...] = field(default=())
    moments: str = ""
    master_weights: bool = False
    frames: tuple[Frame, ...] = ()

    def state_dtype(self, parameter: torch.dtype) -> torch.dtype:
        """The element type of the states of parameters of a type."""
        return (parameter in _HALF and MOMENTS[self.moments]) or parameter

    def has_master(self, parameter: torch.dtype) -> bool:
        """Whether parameters of a type are kept to more digits than they show."""
        return self.master_weights and parameter in _HALF

    @property
    def hyper_parameters(self) -> dict[str, Any]:
        """The first group's options under PyTorch's names, ``betas`` as a tuple."""
        return dict(self.groups[0].options)

    def group_of(self, name: str) -> ParameterGroup | None:
        """Returns the group that holds the parameter `name`, None if it is not optimized."""
        return next((group for group in self.groups if name in group.names), None)


OptimizerLike = torch.optim.Optimizer | Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


def read_optimizer(
    optimizer: OptimizerLike | None,
    parameters: Mapping[str, nn.Parameter],
    moments: str = "",
    master_weights: bool = False,
) -> OptimizerSpec:
    """Reads `optimizer` over the named `parameters`.

    `optimizer` is a ``torch.optim`` instance, a function from a list of parameters to one, or None
    for AdamW with learning rate 2e-4 and no weight decay. `moments` and `master_weights` are those
    of `OptimizerSpec`; the latter needs moments in f32. Raises `UserError` for an optimizer or an
    option whose formula the captured step does not mirror.
    """
    _check_moments(moments, master_weights)
    instance: Any = optimizer
    frames: list[Frame] = []
    if optimizer is None:
        instance = torch.optim.AdamW(list(parameters.values()), lr=DEFAULT_LR, weight_decay=0.0)
    elif not isinstance(optimizer, torch.optim.Optimizer):
        with frames_of_optimizers() as frames:
            instance = _call(optimizer, parameters)
    kind = _SUPPORTED.get(type(instance))
    if kind is None:
        raise UserError(
            f"optimizer {_type_name(instance)} is not supported",
            notes=["optimizer(params) must return a torch.optim.AdamW, Adam or SGD instance"],
        )
    _refuse_used(instance, kind)
    names = {id(parameter): name for name, parameter in parameters.items()}
    base_lr = _number(instance.param_groups[0]["lr"], kind, "lr")
    groups = tuple(_read_group(group, kind, base_lr, names) for group in instance.param_groups)
    return OptimizerSpec(kind, base_lr, groups, moments, master_weights, tuple(frames))


def _check_moments(moments: str, master_weights: bool) -> None:
    if moments not in MOMENTS:
        raise UserError(
            f"optimizer states of type '{moments}' are not supported",
            notes=["choose 'f32', or none: states are then of the type of their parameters"],
        )
    if master_weights and moments != "f32":
        raise UserError(
            "master weights need moments in f32: all states of a parameter are of one type",
            notes=["ask for both: --moments f32 --master-weights"],
        )


def _call(
    function: Callable[[list[nn.Parameter]], Any], parameters: Mapping[str, nn.Parameter]
) -> Any:
    try:
        return function(list(parameters.values()))
    except UserError:
        raise
    except Exception as error:
        raise from_exception(error, "optimizer(params)") from error


def _read_group(
    group: Mapping[str, Any], kind: str, base_lr: float, names: Mapping[int, str]
) -> ParameterGroup:
    known = {*_FORMULA_OPTIONS[kind], *_IMPLEMENTATION_OPTIONS, *_REFUSED_WHEN_TRUE}
    for option, value in group.items():
        if option == "decoupled_weight_decay" and value == (kind == "AdamW"):
            continue
        if option not in known or (option in _REFUSED_WHEN_TRUE and value):
            raise UserError(
                f"option {option}={value!r} of optimizer {kind} is not supported",
                notes=[f"supported options: lr, {', '.join(_FORMULA_OPTIONS[kind])}"],
            )
    options = {option: _option(group[option], kind, option) for option in _FORMULA_OPTIONS[kind]}
    group_names = []
    for parameter in group["params"]:
        if id(parameter) not in names:
            raise UserError(
                f"optimizer {kind} holds a tensor of shape {list(parameter.shape)} that is no "
                "parameter of the model",
                notes=["optimizer(params) must only use the parameters that it is given"],
            )
        group_names.append(names[id(parameter)])
    lr = _number(group["lr"], kind, "lr")
    if base_lr == 0.0 and lr != 0.0:
        raise UserError(
            f"the first parameter group of optimizer {kind} has lr 0 while another has {lr}",
            notes=["the step scales every group's rate by the first group's: give that a rate"],
        )
    scale = 1.0 if lr == base_lr else lr / base_lr
    return ParameterGroup(tuple(group_names), options, scale)


def _option(value: Any, kind: str, option: str) -> Any:
    if option == "betas":
        return tuple(_number(beta, kind, option) for beta in value)
    return value if isinstance(value, bool) else _number(value, kind, option)


def _number(value: Any, kind: str, option: str) -> float:
    if isinstance(value, torch.Tensor) and isinstance(value, torch._subclasses.FakeTensor):
        raise UserError(
            f"option {option} of optimizer {kind} is a tensor without a value",
            notes=["with --abstract, give hyper-parameters as Python numbers"],
        )
    return float(value)


def _refuse_used(optimizer: torch.optim.Optimizer, kind: str) -> None:
    if optimizer.state:
        raise UserError(
            f"optimizer {kind} has already made steps",
            notes=["the captured step starts from zero moments: give a fresh optimizer"],
        )
    if optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks:
        raise UserError(f"step hooks of optimizer {kind} are not supported")


def _type_name(value: object) -> str:
    cls = type(value)
    return f"{cls.__module__}.{cls.__qualname__}"
