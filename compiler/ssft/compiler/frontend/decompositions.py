"""ATen operations rewritten, while the step is traced, into what lowers well to linalg.

torch-mlir's table goes first; the entries here replace those of its results that would carry
run-time index checks, sequential scatters or wrong gradients.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._decomp import get_decompositions

from ssft.compiler.frontend.scatter import scatter_decompositions
from ssft.dialects._mlir import torch_decompositions

aten = torch.ops.aten
_MEAN, _SUM = 1, 2
_MAX_TOPK = 16


def _picked(target: Tensor, classes: int, ignore_index: int) -> Tensor:
    """One-hot of `target` over dimension 1, false for ignored rows; shape (N, classes, ...)."""
    shape = [1] * (target.dim() + 1)
    shape[1] = classes
    numbers = torch.arange(classes, dtype=target.dtype, device=target.device).reshape(shape)
    target = target.unsqueeze(1)
    picked = target == numbers
    if 0 <= ignore_index < classes:
        picked = picked & (target != ignore_index)
    return picked


def _row_weights(
    log_probs: Tensor, target: Tensor, weight: Tensor | None, picked: Tensor, ignore_index: int
) -> Tensor:
    """The weight of each row in the mean: 0 if ignored, else 1 or its class's weight."""
    if weight is None:
        return (target != ignore_index).to(log_probs.dtype)
    shape = [1] * log_probs.dim()
    shape[1] = weight.shape[0]
    return torch.where(picked, weight.reshape(shape), 0.0).sum(1)


def nll_loss_forward(
    log_probs: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignore_index: int
) -> tuple[Tensor, Tensor]:
    """``aten.nll_loss_forward`` and its 2d form by comparison instead of a gather.

    `log_probs` is (N, C, ...) or (C,), `target` holds class numbers of shape (N, ...) or ().
    """
    single = log_probs.dim() == 1
    if single:
        log_probs, target = log_probs.unsqueeze(0), target.unsqueeze(0)
    picked = _picked(target, log_probs.shape[1], ignore_index)
    scores = log_probs
    if weight is not None:
        shape = [1] * log_probs.dim()
        shape[1] = weight.shape[0]
        scores = log_probs * weight.reshape(shape)
    losses = -torch.where(picked, scores, 0.0).sum(1)
    total = _row_weights(log_probs, target, weight, picked, ignore_index).sum()
    if reduction == _MEAN:
        return losses.sum() / total, total
    if reduction == _SUM:
        return losses.sum(), total
    return (losses.squeeze(0) if single else losses), torch.zeros_like(total)


def nll_loss_backward(
    grad: Tensor,
    log_probs: Tensor,
    target: Tensor,
    weight: Tensor | None,
    reduction: int,
    ignore_index: int,
    total_weight: Tensor,
) -> Tensor:
    """``aten.nll_loss_backward`` and its 2d form: the one-hot of the labels times the gradient."""
    single = log_probs.dim() == 1
    if single:
        log_probs, target, grad = log_probs.unsqueeze(0), target.unsqueeze(0), grad.reshape(1)
    picked = _picked(target, log_probs.shape[1], ignore_index)
    if reduction == _MEAN:
        grad = grad / total_weight
    per_row = reduction not in (_MEAN, _SUM)
    grad = grad.unsqueeze(1) if per_row else grad.reshape([1] * log_probs.dim())
    if weight is not None:
        shape = [1] * log_probs.dim()
        shape[1] = weight.shape[0]
        grad = grad * weight.reshape(shape)
    result = torch.where(picked, -grad, 0.0)
    return result.squeeze(0) if single else result


def cumsum(x: Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Tensor:
    """``aten.cumsum`` as a masked sum over pairs of positions: all parallel, quadratic in `dim`."""
    if dtype is None:
        dtype = x.dtype if x.is_floating_point() else torch.int64
    x = x.to(dtype)
    if x.dim() == 0:
        return x.clone()
    moved = x.movedim(dim, -1)
    position = torch.arange(moved.shape[-1], device=x.device)
    before = position.unsqueeze(0) <= position.unsqueeze(1)
    zero = torch.zeros((), dtype=dtype, device=x.device)
    return torch.where(before, moved.unsqueeze(-2), zero).sum(-1).movedim(-1, dim)


def topk(
    x: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> tuple[Tensor, Tensor]:
    """``aten.topk`` for small k: the maximum, then the maximum of the others, and so on."""
    if k > _MAX_TOPK or x.dim() == 0 or not x.is_floating_point():
        return NotImplemented
    shape = [1] * x.dim()
    shape[dim] = x.shape[dim]
    positions = torch.arange(x.shape[dim], device=x.device).reshape(shape)
    rest = x if largest else -x
    indices: list[Tensor] = []
    taken = torch.zeros_like(x, dtype=torch.bool)
    for _ in range(k):
        rest = torch.where(taken, -torch.inf, rest)
        # Where all of the rest is infinitely small, what was taken must not be taken again.
        best = (rest == rest.amax(dim, keepdim=True)) & ~taken
        index = best.to(x.dtype).argmax(dim, keepdim=True)
        indices.append(index)
        taken = taken | (positions == index)
    index = torch.cat(indices, dim)
    return x.gather(dim, index), index


def constant_pad_nd(x: Tensor, pad: list[int], value: float = 0) -> Tensor:
    """``aten.constant_pad_nd`` with negative padding, which cuts off, made by slices."""
    if all(amount >= 0 for amount in pad):
        return NotImplemented
    for i in range(0, len(pad), 2):
        dim = x.dim() - 1 - i // 2
        low, high = min(pad[i], 0), min(pad[i + 1], 0)
        x = x.narrow(dim, -low, x.shape[dim] + low + high)
    if any(amount > 0 for amount in pad):
        return aten.constant_pad_nd(x, [max(amount, 0) for amount in pad], value)
    return x.clone()


def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    """``aten.gelu`` with ``approximate="tanh"``, of which torch-mlir keeps only five digits."""
    if approximate != "tanh":
        return NotImplemented
    inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)
    return 0.5 * x * (1.0 + torch.tanh(inner))


def rsub(x: Tensor, other: float, alpha: float = 1) -> Tensor:
    """``other - alpha * x``; the importer would round `other` to float32."""
    minuend = torch.full((), other, dtype=x.dtype, device=x.device)
    return minuend - (x if alpha == 1 else x * alpha)


def _with_tensor_operand(tensor_overload: Any) -> Callable[[Tensor, int | bool], Tensor]:
    """Returns a bitwise operation on a Python number by way of a 0-d tensor."""

    def apply(x: Tensor, number: int | bool) -> Tensor:
        return tensor_overload(x, torch.full((), number, dtype=x.dtype, device=x.device))

    return apply


def decomposition_table() -> dict[Any, Callable[..., Any]]:
    """Returns the table for the second trace: torch-mlir's, torch's where needed, and ours."""
    table = torch_decompositions()
    table |= get_decompositions(
        [
            aten.native_layer_norm_backward,
            aten.native_group_norm_backward,
            aten.native_batch_norm_backward,
            aten.gelu_backward,
            aten.silu_backward,
            aten._softmax_backward_data,
            aten._log_softmax_backward_data,
            aten.native_dropout_backward,
            aten.select_backward,
            aten.slice_backward,
        ]
    )
    table |= {
        aten.nll_loss_forward.default: nll_loss_forward,
        aten.nll_loss2d_forward.default: nll_loss_forward,
        aten.nll_loss_backward.default: nll_loss_backward,
        aten.nll_loss2d_backward.default: nll_loss_backward,
        aten.cumsum.default: cumsum,
        aten.topk.default: topk,
        aten.gelu.default: gelu,
        aten.rsub.Scalar: rsub,
        aten.constant_pad_nd.default: constant_pad_nd,
        aten.bitwise_xor.Scalar: _with_tensor_operand(aten.bitwise_xor.Tensor),
        aten.bitwise_or.Scalar: _with_tensor_operand(aten.bitwise_or.Tensor),
    }
    return table | scatter_decompositions()
