"""``ssft-fold-transposes``: transposes of matrix-product operands and results become indexing maps.

torch writes ``x @ W.T`` and ``(x.T @ g).T``; every GEMM takes transposed operands for free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.contractions import indexing_maps
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir

_PRODUCTS = frozenset({"linalg.matmul", "linalg.batch_matmul"})


@dataclass(frozen=True)
class FoldTransposesPass(Pass):
    """Folds ``linalg.transpose`` of the two matrix dimensions into the products around it.

    Transposes that move the batch dimension stay, and so do those that somebody else reads.
    """

    argument: ClassVar[str] = "ssft-fold-transposes"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites every ``linalg.matmul`` and ``linalg.batch_matmul`` of ``@step``."""
        step = step_ir.find_step(module)
        with module.context, step.location:
            for op in list(step_ir.operations(step)):
                if op.name in _PRODUCTS:
                    context.statistics["operands folded"] += _fold_operands(op)
            dead = [
                op
                for op in list(step_ir.operations(step))
                if op.name == "linalg.transpose" and _fold_result(op)
            ]
            context.statistics["results folded"] += len(dead)
            for op in dead:
                product = step_ir.owner(op.operands[0])
                op.erase()
                assert product is not None
                product.erase()


def _swaps_matrix_dimensions(op: ir.Operation | None) -> bool:
    if op is None or op.name != "linalg.transpose":
        return False
    order = list(ir.DenseI64ArrayAttr(op.attributes["permutation"]))
    rank = len(order)
    return rank >= 2 and order == [*range(rank - 2), rank - 1, rank - 2]


def _fold_operands(op: ir.Operation) -> int:
    maps = indexing_maps(op)
    if maps is None:
        return 0
    folded = 0
    for number in (0, 1):
        producer = step_ir.owner(op.operands[number])
        while producer is not None and _swaps_matrix_dimensions(producer):
            op.operands[number] = producer.operands[0]
            *batch, row, column = maps[number]
            maps[number] = (*batch, column, row)
            folded += 1
            producer = step_ir.owner(op.operands[number])
    if folded:
        op.attributes["indexing_maps"] = _maps_attribute(maps)
    return folded


def _fold_result(op: ir.Operation) -> bool:
    """Rewrites ``transpose(A B)`` to ``B^T A^T``; the transpose and the product are left unused."""
    product = step_ir.owner(op.operands[0])
    if not _swaps_matrix_dimensions(op) or product is None or product.name not in _PRODUCTS:
        return False
    maps = indexing_maps(product)
    init = step_ir.owner(product.operands[2])
    if len(list(product.results[0].uses)) != 1 or maps is None:
        return False
    if init is None or init.name != "linalg.fill":
        return False
    # Renaming m <-> n makes the result's map the identity again, with the operands swapped.
    *_, m, n = maps[2]
    rename = {m: n, n: m}
    swapped = [tuple(rename.get(loop, loop) for loop in maps[number]) for number in (1, 0)]
    with product.location, ir.InsertionPoint(product):
        dest = _empty_like(op.results[0])
        fill = init.clone()
        copy = product.clone()
    fill.operands[1] = dest
    fill.results[0].set_type(dest.type)
    copy.operands[0], copy.operands[1] = product.operands[1], product.operands[0]
    copy.operands[2] = fill.results[0]
    copy.results[0].set_type(dest.type)
    copy.attributes["indexing_maps"] = _maps_attribute([*swapped, maps[2]])
    op.results[0].replace_all_uses_with(copy.results[0])
    return True


def _empty_like(value: ir.Value) -> ir.Value:
    return ir.Operation.create("tensor.empty", results=[value.type]).result


def _maps_attribute(maps: Sequence[Sequence[int]]) -> ir.ArrayAttr:
    loops = max(loop for loops in maps for loop in loops) + 1
    return ir.ArrayAttr.get(
        [
            ir.AffineMapAttr.get(
                ir.AffineMap.get(loops, 0, [ir.AffineDimExpr.get(loop) for loop in map_])
            )
            for map_ in maps
        ]
    )
