"""Runs PyTorch code in double precision throughout, also where it asks for single by name.

Models of transformers compute norms and rotary tables in ``torch.float32`` whatever their own
precision. Equality to 1e-12 can be shown only if these islands are doubles, too; the code that is
compared stays the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
import torch

from ssft.dialects import _mlir

# Modules that build tables of dtypes when they are imported must have done so before the patch.
_mlir.fx_importer()
_mlir.torch_decompositions()


@contextlib.contextmanager
def double_precision() -> Iterator[None]:
    """Makes ``torch.float32``, ``torch.float`` and ``Tensor.float()`` mean double."""
    default = torch.get_default_dtype()
    with pytest.MonkeyPatch.context() as patch:
        torch.set_default_dtype(torch.float64)
        patch.setattr(torch, "float32", torch.float64)
        patch.setattr(torch, "float", torch.float64)
        patch.setattr(torch.Tensor, "float", torch.Tensor.double)
        try:
            yield
        finally:
            torch.set_default_dtype(default)
