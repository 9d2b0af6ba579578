"""A module from the batch to the scalar loss: what is exported of the user's model."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ssft.compiler.diagnostics import UserError

LossFunction = Callable[[Any, Mapping[str, Any]], Tensor]
MODEL_PREFIX = "model."


class LossModule(nn.Module):
    """Calls `model` with the batch's entries by keyword and returns only the 0-d loss.

    Nothing else that the model returns needs to be a pytree. Entries of the batch that are no
    tensors (`constants`) are compiled in. Without a `loss` function the loss is the output itself
    if that is one number, or its ``loss`` entry.
    """

    def __init__(
        self, model: nn.Module, constants: Mapping[str, Any], loss: LossFunction | None
    ) -> None:
        super().__init__()
        self.model = model
        self.constants = dict(constants)
        self.loss = loss
        self.training = model.training

    def forward(self, tensors: dict[str, Tensor]) -> Tensor:
        """Returns the loss of the batch made of `tensors` and the constants."""
        batch = {**tensors, **self.constants}
        outputs = self.model(**_accepted(self.model, batch, everything=self.loss is None))
        if self.loss is not None:
            value, source = self.loss(outputs, batch), "loss(outputs, batch)"
        else:
            value, source = _own_loss(outputs), "the model"
        if not isinstance(value, Tensor):
            raise UserError(f"{source} returned {type(value).__name__}, not a tensor")
        if value.numel() != 1:
            raise UserError(
                f"{source} returned a loss of shape {list(value.shape)}, not a scalar",
                notes=["reduce it to one number, for example with .mean()"],
            )
        if not value.is_floating_point():
            raise UserError(f"{source} returned a loss of type {value.dtype}, not a float")
        return value.reshape(())


def _accepted(model: nn.Module, batch: Mapping[str, Any], *, everything: bool) -> dict[str, Any]:
    """Selects the entries that the model's forward() names.

    With a loss function the others are for it alone; without one they would be lost, which is an
    error.
    """
    parameters = inspect.signature(model.forward).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return dict(batch)
    named = {key: value for key, value in batch.items() if key in parameters}
    if everything and len(named) < len(batch):
        extra = ", ".join(repr(key) for key in batch if key not in named)
        raise UserError(
            f"batch() has {extra}, which forward() of {type(model).__name__} does not take",
            notes=[
                f"forward() takes {', '.join(parameters) or 'nothing'}",
                "define loss(outputs, batch) if the loss is computed outside the model",
            ],
        )
    return named


def _own_loss(outputs: Any) -> Any:
    if isinstance(outputs, Tensor):
        if outputs.numel() != 1:
            raise UserError(
                f"the model returned a tensor of shape {list(outputs.shape)}, not a scalar loss",
                notes=["define loss(outputs, batch), or let the model return its loss"],
            )
        return outputs
    loss = outputs.get("loss") if isinstance(outputs, Mapping) else getattr(outputs, "loss", None)
    if loss is None:
        raise UserError(
            f"the model's output ({type(outputs).__name__}) has no loss",
            notes=[
                "define loss(outputs, batch)",
                "or give the batch what the model needs to compute its loss, such as 'labels'",
            ],
        )
    return loss


def split_batch(batch: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Splits `batch` into tensors and constants, giving each key a tensor object of its own.

    Tracing identifies inputs by tensor object, so labels that *are* the input ids need a copy.
    """
    if not isinstance(batch, Mapping):
        raise UserError(
            f"batch() returned {type(batch).__name__}, not a mapping of names to tensors",
            notes=['return a dict such as {"input_ids": ids, "labels": labels}'],
        )
    tensors: dict[str, Tensor] = {}
    constants: dict[str, Any] = {}
    for key, value in batch.items():
        if not isinstance(key, str):
            raise UserError(f"batch() has the key {key!r}, which is no string")
        if hasattr(value, "__array_interface__"):
            value = torch.as_tensor(value)
        if isinstance(value, Tensor):
            seen = any(value is other for other in tensors.values())
            tensors[key] = value.detach().clone() if seen else value.detach()
        elif value is None or isinstance(value, (bool, int, float, str)):
            constants[key] = value
        else:
            raise UserError(
                f"batch() has a {type(value).__name__} under {key!r}, which is no tensor",
                notes=["entries are tensors or arrays; numbers, strings and None are constants"],
            )
    if not tensors:
        raise UserError("batch() has no tensor")
    return tensors, constants


def is_fake(tensor: Tensor) -> bool:
    """Tells whether `tensor` has a shape and dtype but no data."""
    return isinstance(tensor, torch._subclasses.FakeTensor)
