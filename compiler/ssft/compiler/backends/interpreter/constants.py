"""The elements of constant attributes as arrays."""

from __future__ import annotations

import numpy as np

from ssft.compiler.backends.cpu.constants import constant_bytes
from ssft.compiler.backends.interpreter.formats import (
    Unsupported,
    element_type,
    load,
    numpy_type,
    stored_type,
)
from ssft.dialects._mlir import ir


def constant_array(attribute: ir.Attribute) -> np.ndarray:
    """The value of an ``arith.constant``: of a scalar a 0-d array, of a splat a broadcast one."""
    element = element_type(attribute.type)
    if isinstance(attribute, ir.BoolAttr | ir.IntegerAttr | ir.FloatAttr):
        return np.array(attribute.value, numpy_type(element))
    if not isinstance(attribute, ir.DenseElementsAttr):
        raise Unsupported(f"a constant of the kind {type(attribute).__name__}")
    shape = tuple(ir.RankedTensorType(attribute.type).shape)
    if attribute.is_splat:
        number = np.array(attribute.get_splat_value().value, numpy_type(element))
        return np.broadcast_to(number, shape)
    stored = np.frombuffer(constant_bytes(attribute), stored_type(element))
    return load(stored, element).reshape(shape)
