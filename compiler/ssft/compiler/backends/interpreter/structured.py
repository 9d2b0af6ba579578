"""Structured operations (all of ``linalg``) as loop nests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ssft.compiler.analysis.contractions import as_contraction
from ssft.compiler.backends.interpreter.body import Body, compile_body
from ssft.compiler.backends.interpreter.formats import (
    Arithmetic,
    Unsupported,
    element_type,
    numpy_type,
    rounded,
    to_bf16,
)
from ssft.compiler.backends.interpreter.loops import Kernel, Nest, elementwise
from ssft.compiler.backends.interpreter.products import ordered_product, plain_product
from ssft.compiler.backends.interpreter.reductions import reduction
from ssft.compiler.backends.interpreter.views import View, parse_maps, target_of
from ssft.dialects._mlir import ir, linalg_indexing_maps

_WIDENINGS = frozenset({"arith.extf", "arith.extsi"})
_PRODUCTS = {"arith.addf": "arith.mulf", "arith.addi": "arith.muli"}


def shape_of(value: ir.Value) -> tuple[int, ...]:
    """The static shape of a tensor; that of a scalar has no dimensions."""
    if not isinstance(value.type, ir.ShapedType):
        return ()
    if not value.type.has_static_shape:
        raise Unsupported("a tensor of dynamic shape")
    return tuple(value.type.shape)


def compile_structured(op: ir.Operation, arithmetic: Arithmetic) -> Kernel:
    """Compiles an operation with indexing maps, named or not."""
    maps = linalg_indexing_maps(op)
    if maps is None:
        raise Unsupported(op.name)
    body, captured = compile_body(op.regions[0].blocks[0], exact=arithmetic != "native")
    operands, count = list(op.operands), len(op.results)
    views, sizes = parse_maps(
        [ir.AffineMapAttr(map_).value for map_ in maps], [shape_of(v) for v in operands]
    )
    targets = [
        target_of(view, shape_of(value))
        for view, value in zip(views[-count:], operands[-count:], strict=True)
    ]
    if any(set(target.loops) != set(targets[0].loops) for target in targets):
        raise Unsupported(f"{op.name} with results over different loops")
    elements = tuple(element_type(result.type) for result in op.results)
    nest = Nest(sizes, tuple(views), tuple(targets), elements, body)
    exact = arithmetic != "native"
    if not nest.reduced:
        return Kernel(elementwise(nest), captured)
    contraction = as_contraction(op) is not None
    if _multiplies_and_adds(body) and _is_product(nest, exact and not contraction):
        return Kernel(product(nest, arithmetic if contraction else "f32", exact=exact))
    return Kernel(reduction(nest, exact=exact), captured)


def _is_product(nest: Nest, in_own_type: bool) -> bool:
    """Whether a multiply-accumulate nest is to be computed as a product of matrices.

    What is no contraction for the accelerator is summed in its own type there; in those of at least
    32 bits there is no difference.
    """
    element = nest.elements[0]
    return element != "i1" and not (in_own_type and element in ("bf16", "f16"))


def _multiplies_and_adds(body: Body) -> bool:
    """Whether a body is ``yield out + a * b`` of its three arguments, perhaps widened."""
    if body.arguments != 3 or body.captured or body.indexed or len(body.yields) != 1:
        return False
    add = body.step_of(body.yields[0])
    if add is None or add.name not in _PRODUCTS or 2 not in add.operands:
        return False
    multiply = body.step_of(add.operands[add.operands[0] == 2])
    if multiply is None or multiply.name != _PRODUCTS[add.name]:
        return False
    factors = []
    for register in multiply.operands:
        step = body.step_of(register)
        factors += step.operands if step and step.name in _WIDENINGS else [register]
    return sorted(factors) == [0, 1]


def product(nest: Nest, multiply: Arithmetic, *, exact: bool) -> Callable[..., list[np.ndarray]]:
    """The function of a multiply-accumulate nest; `multiply` is what factors are rounded to.

    Sums are in f32, for results of f64 in f64; those are no work for the accelerator's matrix unit,
    so that nothing is rounded to bf16.
    """
    left, right, out = nest.views
    in_left, in_right = (left.loops & set(nest.kept)), (right.loops & set(nest.kept))
    batch = tuple(d for d in nest.kept if d in in_left and d in in_right)
    rows = tuple(d for d in nest.kept if d in in_left and d not in in_right)
    columns = tuple(d for d in nest.kept if d not in in_left)
    element = nest.elements[0]
    sums = np.dtype(np.float32) if element in ("bf16", "f16") else numpy_type(element)
    narrow = multiply == "bf16" and sums == np.float32
    order = (*batch, *rows, *columns)

    def function(a: Any, b: Any, c: Any) -> list[np.ndarray]:
        first = _arranged(left, a, (nest.reduced, batch, rows)).astype(sums, copy=False)
        second = _arranged(right, b, (nest.reduced, batch, columns)).astype(sums, copy=False)
        initial = _arranged(out, c, (batch, rows, columns)).astype(sums, copy=False)
        if exact and sums.kind == "f":
            if narrow:
                first, second = to_bf16(first), to_bf16(second)
            found = ordered_product(first, second, initial)
        else:
            found = plain_product(first, second, initial)
        found = rounded(found.reshape([nest.sizes[d] for d in order]), element)
        return [nest.targets[0].arrange(found, order)]

    return function


def _arranged(view: View, value: Any, groups: Sequence[tuple[int, ...]]) -> np.ndarray:
    """An operand with one dimension for each group of loops."""
    array = view.of(value)
    loops = [loop for group in groups for loop in group]
    unused = [loop for loop in range(array.ndim) if loop not in loops]
    array = np.transpose(array, [*loops, *unused])
    array = array.reshape(array.shape[: len(loops)])
    array = np.broadcast_to(array, [view.sizes[loop] for loop in loops])
    sizes = [int(np.prod([view.sizes[loop] for loop in group], dtype=np.int64)) for group in groups]
    return array.reshape(sizes)
