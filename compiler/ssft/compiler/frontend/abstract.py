"""Runs model code on tensors that have shapes and dtypes but no data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode


@contextmanager
def without_data() -> Iterator[None]:
    """Makes every tensor created inside, such as a model's parameters, take no memory."""
    with FakeTensorMode(allow_non_fake_inputs=True), _converting_by_replacement():
        yield


@contextmanager
def _converting_by_replacement() -> Iterator[None]:
    """Lets ``model.to(dtype)``, ``.half()`` and the like work on such parameters.

    PyTorch changes the parameter objects in place, which it cannot for tensors that their fake mode
    remembers, as it does all of them. Here modules get new parameter objects, tied ones the same.
    """
    original = nn.Module._apply
    replaced: dict[int, tuple[nn.Parameter, nn.Parameter]] = {}
    depth = 0

    def convert(parameter: nn.Parameter, fn: Callable[[Tensor], Tensor]) -> nn.Parameter:
        # The old object is kept so that its id stays its own.
        if id(parameter) not in replaced:
            with torch.no_grad():
                data = fn(parameter)
            new = nn.Parameter(data, parameter.requires_grad and data.is_floating_point())
            replaced[id(parameter)] = (parameter, new)
        return replaced[id(parameter)][1]

    def apply(self: nn.Module, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        nonlocal depth
        depth += 1
        try:
            if recurse:
                for child in self.children():
                    child._apply(fn)
            for key, parameter in self._parameters.items():
                if parameter is not None:
                    self._parameters[key] = convert(parameter, fn)
            for key, buffer in self._buffers.items():
                if buffer is not None:
                    self._buffers[key] = fn(buffer)
        finally:
            depth -= 1
            if depth == 0:
                replaced.clear()
        return self

    nn.Module._apply = apply  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module._apply = original  # type: ignore[method-assign]
