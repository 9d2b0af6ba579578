"""Operations of ``tensor``, and constants: they move elements and compute nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ssft.compiler.backends.interpreter.body import compile_body, element_at
from ssft.compiler.backends.interpreter.constants import constant_array
from ssft.compiler.backends.interpreter.formats import (
    Arithmetic,
    Unsupported,
    element_type,
    numpy_type,
)
from ssft.compiler.backends.interpreter.loops import Kernel
from ssft.compiler.backends.interpreter.structured import shape_of
from ssft.dialects._mlir import ir

_DYNAMIC = -(2**63)
"""Stands in a list of static numbers for one that an operand gives."""


def _integers(op: ir.Operation, name: str) -> list[int]:
    return list(ir.DenseI64ArrayAttr(op.attributes[name]))


def _result_shape(op: ir.Operation) -> tuple[int, ...]:
    return shape_of(op.results[0])


def _constant(op: ir.Operation) -> Kernel:
    value = constant_array(op.attributes["value"])
    return Kernel(lambda: [value])


def _empty(op: ir.Operation) -> Kernel:
    type_ = numpy_type(element_type(op.results[0].type))
    # Nobody may look at these numbers; should somebody do, it shows.
    number = np.array(
        np.nan if type_.kind == "f" else np.iinfo(type_).min if type_.kind in "iu" else 1
    )
    value = np.broadcast_to(number.astype(type_), _result_shape(op))
    return Kernel(lambda *_: [value])


def _reshape(op: ir.Operation) -> Kernel:
    shape = _result_shape(op)
    return Kernel(lambda source, *_: [np.reshape(source, shape)])


def _splat(op: ir.Operation) -> Kernel:
    shape = _result_shape(op)
    return Kernel(lambda source, *_: [np.broadcast_to(source, shape)])


def _cast(op: ir.Operation) -> Kernel:
    shape_of(op.results[0])
    return Kernel(lambda source: [source])


def _concat(op: ir.Operation) -> Kernel:
    axis = ir.IntegerAttr(op.attributes["dim"]).value
    return Kernel(lambda *sources: [np.concatenate(sources, axis=axis)])


def _from_elements(op: ir.Operation) -> Kernel:
    shape = _result_shape(op)
    return Kernel(lambda *elements: [np.reshape(np.stack(elements), shape)])


def _extract(op: ir.Operation) -> Kernel:
    return Kernel(lambda tensor, *indices: [element_at(tensor, *indices)])


def _insert(op: ir.Operation) -> Kernel:
    def function(number: Any, tensor: np.ndarray, *indices: Any) -> list[np.ndarray]:
        element_at(tensor, *indices)
        result = np.array(tensor)
        result[tuple(indices)] = number
        return [result]

    return Kernel(function)


def _dim(op: ir.Operation) -> Kernel:
    return Kernel(lambda tensor, axis: [np.int64(np.shape(tensor)[int(axis)])])


def _region(op: ir.Operation, operands: int) -> Callable[[Sequence[Any]], tuple[slice, ...]]:
    """The part of a tensor that static and dynamic offsets, sizes and strides select.

    The function takes the dynamic ones: `op`'s operands from number `operands` on.
    """
    static = [_integers(op, f"static_{name}") for name in ("offsets", "sizes", "strides")]

    def select(dynamic: Sequence[Any]) -> tuple[slice, ...]:
        given = iter(dynamic)
        lists = [[int(next(given)) if n == _DYNAMIC else n for n in numbers] for numbers in static]
        return tuple(
            slice(offset, offset + (size - 1) * stride + 1 if size else offset, stride)
            for offset, size, stride in zip(*lists, strict=True)
        )

    return select


def _extract_slice(op: ir.Operation) -> Kernel:
    select, shape = _region(op, 1), _result_shape(op)
    return Kernel(lambda source, *dynamic: [np.reshape(source[select(dynamic)], shape)])


def _insert_slice(op: ir.Operation) -> Kernel:
    select = _region(op, 2)

    def function(source: np.ndarray, dest: np.ndarray, *dynamic: Any) -> list[np.ndarray]:
        result = np.array(dest)
        place = result[select(dynamic)]
        place[...] = np.reshape(source, place.shape)
        return [result]

    return Kernel(function)


def _generated(op: ir.Operation, arithmetic: Arithmetic) -> tuple[Callable[..., Any], list[Any]]:
    """A region whose arguments are an element's position, as a function from captured values."""
    body, captured = compile_body(op.regions[0].blocks[0], exact=arithmetic != "native")
    shape = _result_shape(op)

    def function(*values: Any) -> np.ndarray:
        positions = np.ogrid[tuple(slice(size) for size in shape)]
        return np.broadcast_to(body.run([*positions, *values])[0], shape)

    return function, captured


def _generate(op: ir.Operation, arithmetic: Arithmetic) -> Kernel:
    function, captured = _generated(op, arithmetic)
    return Kernel(lambda *values: [function(*values)], captured)


def _pad(op: ir.Operation, arithmetic: Arithmetic) -> Kernel:
    low, high = _integers(op, "static_low"), _integers(op, "static_high")
    if _DYNAMIC in (*low, *high):
        raise Unsupported("tensor.pad by numbers that are not static")
    if min((*low, *high), default=0) < 0:
        raise Unsupported("tensor.pad by negative numbers")
    function, captured = _generated(op, arithmetic)
    inner = tuple(
        slice(start, start + size)
        for start, size in zip(low, shape_of(op.operands[0]), strict=True)
    )

    def pad(source: np.ndarray, *values: Any) -> list[np.ndarray]:
        result = np.array(function(*values))
        result[inner] = source
        return [result]

    return Kernel(pad, captured)


TENSOR_RULES: dict[str, Callable[[ir.Operation], Kernel]] = {
    "arith.constant": _constant,
    "tensor.cast": _cast,
    "tensor.collapse_shape": _reshape,
    "tensor.concat": _concat,
    "tensor.dim": _dim,
    "tensor.empty": _empty,
    "tensor.expand_shape": _reshape,
    "tensor.extract": _extract,
    "tensor.extract_slice": _extract_slice,
    "tensor.from_elements": _from_elements,
    "tensor.insert": _insert,
    "tensor.insert_slice": _insert_slice,
    "tensor.reshape": _reshape,
    "tensor.splat": _splat,
}

GENERATING_RULES: dict[str, Callable[[ir.Operation, Arithmetic], Kernel]] = {
    "tensor.generate": _generate,
    "tensor.pad": _pad,
}
"""Those with a region of scalar operations."""
