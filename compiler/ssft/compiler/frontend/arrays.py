"""PyTorch tensors as NumPy arrays that share their memory."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from ssft.compiler.weights import Array

_DTYPES = {
    torch.float64: "f64",
    torch.float32: "f32",
    torch.float16: "f16",
    torch.bfloat16: "bf16",
    torch.int64: "i64",
    torch.int32: "i32",
    torch.int16: "i16",
    torch.int8: "i8",
    torch.uint8: "ui8",
    torch.bool: "i1",
}


def to_array(tensor: torch.Tensor) -> Array:
    """Returns the tensor's data; no copy if it is a contiguous tensor on the CPU."""
    tensor = tensor.detach().cpu().contiguous()
    # NumPy has no bfloat16; the bits travel as uint16.
    bits = tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor
    return Array(_DTYPES[tensor.dtype], bits.numpy())


def to_arrays(tensors: Mapping[str, torch.Tensor]) -> dict[str, Array]:
    """Returns the data of each tensor by name."""
    return {name: to_array(tensor) for name, tensor in tensors.items()}
