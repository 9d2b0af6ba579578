"""Operations of ``ssft``: slices, gradients of weights, and updates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ssft.compiler.backends.interpreter.body import Body, compile_body
from ssft.compiler.backends.interpreter.formats import (
    Arithmetic,
    element_type,
    numpy_type,
    rounded,
)
from ssft.compiler.backends.interpreter.loops import Kernel, Nest, elementwise
from ssft.compiler.backends.interpreter.structured import product, shape_of
from ssft.compiler.backends.interpreter.views import Target, View
from ssft.compiler.diagnostics import UserError
from ssft.dialects._mlir import ir

_LONG = 16
"""Elements of a row from which on adding it as a whole is faster than element by element."""


def _integer(op: ir.Operation, name: str) -> int:
    return ir.IntegerAttr(op.attributes[name]).value


def _checked(indices: np.ndarray, extent: int, name: str) -> np.ndarray:
    if indices.size and (indices.min() < 0 or indices.max() >= extent):
        raise UserError(f"{name}: an index is outside of 0 to {extent - 1}")
    return indices


def _gather(op: ir.Operation, arithmetic: Arithmetic) -> Kernel:
    dim, name = _integer(op, "dim"), op.name

    def function(source: np.ndarray, indices: np.ndarray) -> list[np.ndarray]:
        return [np.take(source, _checked(indices, source.shape[dim], name), axis=dim)]

    return Kernel(function)


def _scatter(op: ir.Operation, arithmetic: Arithmetic) -> Kernel:
    dim, name = _integer(op, "dim"), op.name

    def function(dest: np.ndarray, indices: np.ndarray, part: np.ndarray) -> list[np.ndarray]:
        result = np.array(dest)
        rows = _checked(indices, result.shape[dim], name)
        np.moveaxis(result, dim, 0)[rows] = np.moveaxis(part, dim, 0)
        return [result]

    return Kernel(function)


def _scatter_add(op: ir.Operation, arithmetic: Arithmetic) -> Kernel:
    dim, name, element = _integer(op, "dim"), op.name, element_type(op.results[0].type)

    def function(dest: np.ndarray, indices: np.ndarray, updates: np.ndarray) -> list[np.ndarray]:
        result = np.array(dest)
        target, source = np.moveaxis(result, dim, 0), np.moveaxis(updates, dim, 0)
        rows = _checked(indices, len(target), name)
        if element != "bf16" and source[:1].size < _LONG:
            np.add.at(target, rows, source)
            return [result]
        for row, values in zip(rows.tolist(), source, strict=True):
            target[row] = rounded(target[row] + values, element)
        return [result]

    return Kernel(function)


def _save_slice(op: ir.Operation, arithmetic: Arithmetic) -> Kernel:
    offset = _integer(op, "offset")
    part = (slice(None),) * _integer(op, "dim") + (slice(offset, offset + _integer(op, "size")),)
    # A copy: a view would keep the whole source in memory.
    return Kernel(lambda source: [np.array(source[part])])


def _weight_grad(op: ir.Operation, arithmetic: Arithmetic) -> Kernel:
    lhs, rhs = shape_of(op.operands[0]), shape_of(op.operands[1])
    tokens = [({loop: 1}, 0) for loop in range(len(lhs) - 1)]
    i, j = len(tokens), len(tokens) + 1
    sizes = (*lhs, rhs[-1])
    views = tuple(
        View(expressions, sizes)
        for expressions in (
            (*tokens, ({i: 1}, 0)),
            (*tokens, ({j: 1}, 0)),
            (({i: 1}, 0), ({j: 1}, 0)),
        )
    )
    element = element_type(op.results[0].type)
    shape = shape_of(op.results[0])
    nest = Nest(sizes, views, (Target((i, j), shape),), (element,), Body(3, 0, (), (), ()))
    multiply = product(nest, arithmetic, exact=arithmetic != "native")
    zeros = np.broadcast_to(np.zeros((), numpy_type(element)), shape)
    return Kernel(lambda a, b: multiply(a, b, zeros))


def _update(op: ir.Operation, arithmetic: Arithmetic) -> Kernel:
    body, captured = compile_body(op.regions[0].blocks[0], exact=arithmetic != "native")
    sizes = shape_of(op.operands[0])
    loops = tuple(range(len(sizes)))
    view = View(tuple(({loop: 1}, 0) for loop in loops), sizes)
    elements = tuple(element_type(result.type) for result in op.results)
    targets = (Target(loops, sizes),) * len(elements)
    nest = Nest(sizes, (view,) * len(op.operands), targets, elements, body)
    return Kernel(elementwise(nest), captured)


def _barrier(op: ir.Operation, arithmetic: Arithmetic) -> Kernel:
    return Kernel(lambda source: [source])


SSFT_RULES: dict[str, Callable[[ir.Operation, Arithmetic], Kernel]] = {
    "ssft.barrier": _barrier,
    "ssft.gather": _gather,
    "ssft.save_slice": _save_slice,
    "ssft.scatter": _scatter,
    "ssft.scatter_add": _scatter_add,
    "ssft.update": _update,
    "ssft.weight_grad": _weight_grad,
}
