"""Several adapters on one PyTorch model at once, without merging any."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ssft.compiler.backends.interpreter.formats import load
from ssft.compiler.diagnostics import UserError
from ssft.runtime.adapters.adapter import Adapter, Part

_SUFFIX = ".weight"


class UnmergedLinear(nn.Module):
    """What adapters add to a linear layer's output, for each sample that of its own adapter.

    For changed columns C of W [m, n] sample i's output gets ``x[i, ..., C] @ change.T``, for
    changed rows R its channels R get ``x[i] @ change.T``: the change is read instead of a weight of
    the sample's own (S2FT, arXiv 2412.06289, section 6.2).
    """

    def __init__(self, parts: Mapping[int, Sequence[Part]], like: Tensor) -> None:
        super().__init__()
        self.parts = {
            number: [
                (
                    None if part.rows is None else torch.from_numpy(part.rows),
                    None if part.columns is None else torch.from_numpy(part.columns),
                    torch.from_numpy(part.change).to(like),
                )
                for part in found
            ]
            for number, found in parts.items()
        }

    def forward(self, x: Tensor, y: Tensor, owners: Tensor) -> Tensor:
        """`y` [batch, ..., m], computed from `x` [batch, ..., n], plus each owner's change."""
        y = y.clone()
        for number, parts in self.parts.items():
            samples = torch.nonzero(owners == number).flatten()
            if not len(samples):
                continue
            own = x[samples]
            for rows, columns, change in parts:
                added = (own if columns is None else own[..., columns]) @ change.T
                if rows is None:
                    y[samples] += added
                else:
                    y[samples[:, None], ..., rows[None]] += added.movedim(-1, 1)
        return y


@contextlib.contextmanager
def unmerged(
    model: nn.Module, adapters: Sequence[Adapter], owners: Sequence[int]
) -> Iterator[None]:
    """Runs `model` with sample i of a batch under ``adapters[owners[i]]``; -1 is the base.

    The model's weights stay those of the base. While the context is open, batches have as many
    samples as there are owners.

    Raises:
        UserError: an adapter changes something else than the weight of an ``nn.Linear``.
    """
    wanted = torch.tensor(list(owners))
    linears: dict[str, dict[int, list[Part]]] = {}
    for number, adapter in enumerate(adapters):
        for part in adapter.parts:
            _check(model, part)
            module = part.name.removesuffix(_SUFFIX)
            linears.setdefault(module, {}).setdefault(number, []).append(part)
    handles = []
    try:
        for name, parts in linears.items():
            module = model.get_submodule(name)
            assert isinstance(module, nn.Linear)
            handles.append(module.register_forward_hook(_hook(parts, module.weight, wanted)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(parts: Mapping[int, Sequence[Part]], weight: Tensor, owners: Tensor):
    added = UnmergedLinear(parts, weight.detach())

    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if len(output) != len(owners):
            raise UserError(
                f"a batch of {len(output)} samples, but adapters are named for {len(owners)}"
            )
        return added(inputs[0], output, owners)

    return hook


def _check(model: nn.Module, part: Part) -> None:
    module = part.name.removesuffix(_SUFFIX)
    found = dict(model.named_modules()).get(module) if part.name.endswith(_SUFFIX) else None
    if not isinstance(found, nn.Linear):
        raise UserError(
            f"'{part.name}' is no weight of a linear layer, so its change cannot stay unmerged",
            notes=["merge the adapter, or leave such parameters frozen when training"],
        )
    if tuple(found.weight.shape) != part.shape:
        raise UserError(
            f"'{part.name}' is {list(found.weight.shape)}, but the adapter is of {list(part.shape)}"
        )


def apply_to_module(model: nn.Module, adapter: Adapter) -> None:
    """Writes an adapter's values into a model's parameters; its base is not checked."""
    tensors = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers())
    with torch.no_grad():
        for part in adapter.parts:
            values = torch.from_numpy(np.array(load(part.values, part.dtype)))
            index = tuple(torch.from_numpy(np.asarray(i)) for i in part.index)
            tensors[part.name][index] = values.to(tensors[part.name])
