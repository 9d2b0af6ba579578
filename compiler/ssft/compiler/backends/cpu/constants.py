"""The bytes of constant arrays."""

from __future__ import annotations

import math
import re

import numpy as np

from ssft.compiler.diagnostics import UserError
from ssft.dialects._mlir import ir


def constant_bytes(attribute: ir.Attribute) -> bytes:
    """The elements of a dense constant, row-major, as a memref of its type stores them.

    ``i1`` takes one byte per element; ``bf16`` is the upper half of an ``f32``.
    """
    if isinstance(attribute, ir.DenseElementsAttr) and str(attribute.type.element_type) == "bf16":
        return _bfloat16(attribute)
    if isinstance(attribute, ir.DenseElementsAttr):
        return np.ascontiguousarray(np.array(attribute)).tobytes()
    raise UserError(f"constants of the kind '{type(attribute).__name__}' are not supported")


def _bfloat16(attribute: ir.DenseElementsAttr) -> bytes:
    # The bindings give out no elements of this type, but the text says them all.
    count = math.prod(ir.RankedTensorType(attribute.type).shape)
    if attribute.is_splat:
        numbers = [ir.FloatAttr(attribute.get_splat_value()).value]
    else:
        content = str(attribute).removeprefix("dense<").rpartition("> : ")[0]
        if content.startswith('"0x'):
            return bytes.fromhex(content[3:-1])
        numbers = [_number(text) for text in re.split(r"[\[\], ]+", content) if text]
    wide = np.full(count, numbers, dtype=np.float32)
    return (wide.view(np.uint32) >> 16).astype(np.uint16).tobytes()


def _number(text: str) -> float:
    """Reads a number, or the bits of one that has no decimal notation."""
    if not text.startswith("0x"):
        return float(text)
    return float((np.array([int(text, 16)], np.uint32) << 16).view(np.float32)[0])
