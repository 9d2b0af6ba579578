"""Contractions (matrix products of any layout), recognised by their indexing maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ssft.compiler.analysis.step import shape_of
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class Contraction:
    """``out[batch, m, n] = sum_k lhs[batch, m, k] * rhs[batch, n, k]``, dimensions in any order.

    `lhs`, `rhs`, `out` give the loop that each tensor dimension runs over; `sizes` the trip count
    of each loop. A loop is a *batch* loop if all three use it, an *m* (*n*) loop if `out` and only
    `lhs` (`rhs`) use it, and a *k* loop if `out` does not use it.
    """

    lhs: tuple[int, ...]
    rhs: tuple[int, ...]
    out: tuple[int, ...]
    sizes: tuple[int, ...]

    @property
    def batch(self) -> tuple[int, ...]:
        """Loops that all three tensors run over."""
        return tuple(d for d in self.out if d in self.lhs and d in self.rhs)

    @property
    def m(self) -> tuple[int, ...]:
        """Loops of `out` and `lhs` only."""
        return tuple(d for d in self.out if d in self.lhs and d not in self.rhs)

    @property
    def n(self) -> tuple[int, ...]:
        """Loops of `out` and `rhs` only."""
        return tuple(d for d in self.out if d in self.rhs and d not in self.lhs)

    @property
    def k(self) -> tuple[int, ...]:
        """Contracted loops."""
        return tuple(d for d in range(len(self.sizes)) if d not in self.out)

    @property
    def flops(self) -> int:
        """Floating-point operations; a multiply-add counts as 2."""
        return 2 * math.prod(self.sizes)


def indexing_maps(op: ir.Operation) -> list[tuple[int, ...]] | None:
    """Returns the loops of each operand's dimensions; None if a map is no projected permutation."""
    if "indexing_maps" not in op.attributes:
        return None
    maps = []
    for attribute in ir.ArrayAttr(op.attributes["indexing_maps"]):
        loops = []
        for expression in ir.AffineMapAttr(attribute).value.results:
            if not isinstance(expression, ir.AffineDimExpr):
                return None
            loops.append(expression.position)
        if len(set(loops)) != len(loops):
            return None
        maps.append(tuple(loops))
    return maps


_NAMED = frozenset({"linalg.matmul", "linalg.batch_matmul", "linalg.contract"})


def as_contraction(op: ir.Operation | None) -> Contraction | None:
    """Returns what `op` contracts, or None if it is no contraction of two tensors.

    Named operations and ``linalg.generic`` with a multiply-accumulate body are recognised, and our
    ``ssft.weight_grad``. Factors may be widened to the type of the sum.
    """
    if op is None:
        return None
    if op.name == "ssft.weight_grad":
        return _weight_gradient(op)
    if op.name in _NAMED or is_multiply_accumulate(op):
        maps = indexing_maps(op)
        if maps is None or len(maps) != 3:
            return None
        return _from_maps(op, maps)
    return None


def _from_maps(op: ir.Operation, maps: Sequence[tuple[int, ...]]) -> Contraction | None:
    sizes: dict[int, int] = {}
    for operand, loops in zip(op.operands, maps, strict=True):
        for loop, size in zip(loops, shape_of(operand) or (), strict=True):
            sizes[loop] = size
    found = Contraction(
        lhs=maps[0],
        rhs=maps[1],
        out=maps[2],
        sizes=tuple(sizes[loop] for loop in range(len(sizes))),
    )
    return found if found.k and all(d in found.lhs and d in found.rhs for d in found.k) else None


def _weight_gradient(op: ir.Operation) -> Contraction:
    lhs, rhs = shape_of(op.operands[0]), shape_of(op.operands[1])
    assert lhs is not None and rhs is not None
    tokens = tuple(range(2, 2 + len(lhs) - 1))
    return Contraction(
        lhs=(*tokens, 0),
        rhs=(*tokens, 1),
        out=(0, 1),
        sizes=(lhs[-1], rhs[-1], *lhs[:-1]),
    )


def is_multiply_accumulate(op: ir.Operation) -> bool:
    """Whether `op` is a ``linalg.generic`` of two inputs whose body is ``yield acc + a * b``.

    On tensors or buffers; both inputs have one element type, and may be widened by ``arith.extf``.
    """
    if op.name != "linalg.generic" or len(op.operands) != 3:
        return False
    block = op.regions[0].blocks[0]
    body = [inner.operation for inner in block.operations]
    if [inner.name for inner in body[-3:]] != ["arith.mulf", "arith.addf", "linalg.yield"]:
        return False
    *widenings, multiply, add, _ = body
    if block.arguments[0].type != block.arguments[1].type:
        return False
    narrow: dict[ir.Value, ir.Value] = {}
    for inner in widenings:
        if inner.name != "arith.extf":
            return False
        narrow[inner.results[0]] = inner.operands[0]
    factors = {narrow.get(value, value) for value in multiply.operands}
    return factors == {block.arguments[0], block.arguments[1]} and set(add.operands) == {
        block.arguments[2],
        multiply.results[0],
    }
