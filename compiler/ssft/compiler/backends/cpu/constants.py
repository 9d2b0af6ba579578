"""The bytes of constant arrays."""

from __future__ import annotations

import numpy as np

from ssft.compiler.diagnostics import UserError
from ssft.dialects._mlir import ir


def constant_bytes(attribute: ir.Attribute) -> bytes:
    """The elements of a dense constant, row-major, as a memref of its type stores them.

    ``i1`` takes one byte per element; ``bf16`` is the upper half of an ``f32``.
    """
    if isinstance(attribute, ir.DenseElementsAttr) and str(attribute.type.element_type) == "bf16":
        elements = ir.DenseFPElementsAttr(attribute)
        wide = np.array([elements[i] for i in range(len(elements))], dtype=np.float32)
        return (wide.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    if isinstance(attribute, ir.DenseElementsAttr):
        return np.ascontiguousarray(np.array(attribute)).tobytes()
    raise UserError(f"constants of the kind '{type(attribute).__name__}' are not supported")
