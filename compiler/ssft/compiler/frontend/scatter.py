"""Scatters without loops over elements, down to ``ssft.scatter_add`` for those that add.

Gradients of embeddings, gathers and advanced indexing all add rows into a tensor at positions that
may repeat. Each is rewritten to ``ssft::scatter_add``, which the importer turns into
``ssft.scatter_add``; torch-mlir's own lowering would make an opaque sequential scatter of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ssft.dialects._mlir import ir
from ssft.dialects.ssft import ScatterAddOp

aten = torch.ops.aten
_library = torch.library.Library("ssft", "DEF")
_library.define("scatter_add(Tensor dest, Tensor indices, Tensor updates) -> Tensor")


def _scatter_add(dest: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    return dest.index_add(0, indices, updates)


def _scatter_add_meta(dest: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    return torch.empty_like(dest)


_library.impl("scatter_add", _scatter_add, "CompositeExplicitAutograd")
_library.impl("scatter_add", _scatter_add_meta, "Meta")
# Each position costs a pass over the tensor.
_MAX_SCATTER_POSITIONS = 16
SCATTER_ADD = torch.ops.ssft.scatter_add.default


def scatter_add_rows(dest: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """Returns `dest` with ``updates[i]`` added to row ``indices[i]``.

    `dest` is (N, ...), `indices` any shape of integers in [0, N), `updates` that shape followed by
    the row's.
    """
    indices = indices.reshape(-1).to(torch.int64)
    return SCATTER_ADD(dest, indices, updates.reshape(indices.shape[0], *dest.shape[1:]))


def _embedding_dense_backward(
    grad: Tensor, indices: Tensor, num_weights: int, padding_idx: int, scale_grad_by_freq: bool
) -> Tensor:
    if scale_grad_by_freq:
        return NotImplemented
    if padding_idx >= 0:
        grad = torch.where((indices == padding_idx).unsqueeze(-1), 0.0, grad)
    return scatter_add_rows(grad.new_zeros(num_weights, grad.shape[-1]), indices, grad)


def _linear_index(indices: Sequence[Tensor], sizes: Sequence[int]) -> Tensor:
    """Combines one non-negative index tensor per leading dimension into a row number."""
    linear = torch.zeros((), dtype=torch.int64, device=indices[0].device)
    for index, size in zip(indices, sizes, strict=True):
        index = index.to(torch.int64)
        linear = linear * size + torch.where(index < 0, index + size, index)
    return linear


def _index_put(
    x: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False
) -> Tensor:
    if any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in indices):
        return _masked_put(x, indices, values, accumulate)
    if not accumulate:
        return NotImplemented
    indexed = [dim for dim, index in enumerate(indices) if index is not None]
    if indexed != list(range(indexed[0], indexed[-1] + 1)):
        return NotImplemented
    # Bring the indexed dimensions to the front; the values' rows follow the index's dimensions.
    others = [dim for dim in range(x.dim()) if dim not in indexed]
    order = indexed + others
    moved = x.permute(order)
    sizes = [x.shape[dim] for dim in indexed]
    linear = _linear_index([index for index in indices if index is not None], sizes)
    lead = indexed[0]
    shape = [
        *(x.shape[d] for d in others[:lead]),
        *linear.shape,
        *(x.shape[d] for d in others[lead:]),
    ]
    values = values.expand(shape)
    rank = linear.dim()
    positions = [
        *range(lead, lead + rank),
        *range(lead),
        *range(lead + rank, values.dim()),
    ]
    rows = moved.reshape(math.prod(sizes), *moved.shape[len(indexed) :])
    result = scatter_add_rows(rows, linear, values.permute(positions))
    inverse = [order.index(dim) for dim in range(x.dim())]
    return result.reshape(moved.shape).permute(inverse)


def _masked_put(
    x: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool
) -> Tensor:
    mask = indices[0]
    if len(indices) != 1 or mask is None or values.numel() != 1:
        return NotImplemented
    mask = mask.to(torch.bool).reshape(*mask.shape, *[1] * (x.dim() - mask.dim()))
    value = values.reshape(()).to(x.dtype)
    return torch.where(mask, x + value if accumulate else value, x)


def _scatter_add_elements(x: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    if x.dim() == 0:
        return x + src
    src = src[tuple(slice(size) for size in index.shape)]
    linear = torch.zeros((), dtype=torch.int64, device=x.device)
    for axis, size in enumerate(x.shape):
        if axis == dim % x.dim():
            position = index
        else:
            shape = [1] * x.dim()
            shape[axis] = index.shape[axis]
            position = torch.arange(index.shape[axis], device=x.device).reshape(shape)
        linear = linear * size + position
    return scatter_add_rows(x.reshape(-1), linear, src).reshape(x.shape)


def _index_add(x: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    if alpha != 1:
        source = source * alpha
    moved = scatter_add_rows(x.movedim(dim, 0), index, source.movedim(dim, 0))
    return moved.movedim(0, dim)


def _scatter(x: Tensor, dim: int, index: Tensor, src: Tensor | float) -> Tensor:
    """Overwrites elements one index position after the other; many positions are left alone.

    Covers one-hot encodings and the gradients of max, sort-free selections and top-k.
    """
    if x.dim() == 0 or index.shape[dim] > _MAX_SCATTER_POSITIONS or not _covers(x, dim, index):
        return NotImplemented
    shape = [1] * x.dim()
    shape[dim] = x.shape[dim]
    positions = torch.arange(x.shape[dim], device=x.device).reshape(shape)
    for j in range(index.shape[dim]):
        here = positions == index.narrow(dim, j, 1)
        value = src.narrow(dim, j, 1) if isinstance(src, Tensor) else src
        x = torch.where(here, value, x)
    return x


def _covers(x: Tensor, dim: int, index: Tensor) -> bool:
    """Tells whether `index` has all of x's positions in the other dimensions."""
    axis = dim % x.dim()
    return all(x.shape[i] == index.shape[i] for i in range(x.dim()) if i != axis)


def _max_pool2d_backward(
    grad: Tensor,
    x: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    indices: Tensor,
) -> Tensor:
    # `indices` number the pixels of one image of one channel.
    pixels = x.shape[-1] * x.shape[-2]
    images = x.numel() // pixels
    first = torch.arange(images, device=x.device).reshape(images, 1) * pixels
    linear = indices.reshape(images, -1) + first
    zeros = x.new_zeros(x.numel())
    return scatter_add_rows(zeros, linear, grad.reshape(images, -1)).reshape(x.shape)


def scatter_decompositions() -> dict[Any, Callable[..., Any]]:
    """Returns the entries that rewrite every adding scatter of ATen."""
    return {
        aten.embedding_dense_backward.default: _embedding_dense_backward,
        aten.index_put.default: _index_put,
        aten._unsafe_index_put.default: _index_put,
        aten.scatter_add.default: _scatter_add_elements,
        aten.index_add.default: _index_add,
        aten.scatter.src: _scatter,
        aten.scatter.value: _scatter,
        aten.max_pool2d_with_indices_backward.default: _max_pool2d_backward,
    }


def raise_scatter_adds(module: ir.Module) -> None:
    """Turns the importer's opaque ``ssft::scatter_add`` calls into operations of our dialect.

    They work on builtin tensors, behind casts that disappear when their surroundings are lowered.
    """
    wanted = f"torch.{SCATTER_ADD._schema.name.replace('::', '.')}"
    calls: list[ir.Operation] = []

    def visit(op: ir.Operation) -> ir.WalkResult:
        if op.name == "torch.operator" and ir.StringAttr(op.attributes["name"]).value == wanted:
            calls.append(op)
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit)
    for op in calls:
        with ir.InsertionPoint(op), op.location:
            dest, indices, updates = (_to_builtin(operand) for operand in op.operands)
            added = ScatterAddOp.build(dest, indices, updates, dim=0)
            result = ir.Operation.create(
                "torch_c.from_builtin_tensor", [op.results[0].type], [added.result]
            )
        op.results[0].replace_all_uses_with(result.result)
        op.erase()


def _to_builtin(value: ir.Value) -> ir.Value:
    kind = ir.Type.parse(_builtin_type(str(value.type)), value.context)
    return ir.Operation.create("torch_c.to_builtin_tensor", [kind], [value]).result


def _builtin_type(vtensor: str) -> str:
    """Translates ``!torch.vtensor<[2,3],si64>`` into ``tensor<2x3xi64>``."""
    sizes, element = vtensor.removeprefix("!torch.vtensor<[").removesuffix(">").split("],")
    dims = [f"{size}x" for size in sizes.split(",") if size]
    return f"tensor<{''.join(dims)}{element.removeprefix('s')}>"
