"""What linalg operations do that have a simple form: fills, transposes and repetitions."""

from __future__ import annotations

from collections.abc import Sequence

from ssft.compiler.analysis.contractions import indexing_maps
from ssft.compiler.analysis.elementwise import is_parallel
from ssft.compiler.analysis.step import owner
from ssft.dialects._mlir import ir


def is_fill(op: ir.Operation) -> bool:
    """Whether `op` writes one scalar everywhere: ``linalg.fill`` or its generic forms."""
    if op.name == "linalg.fill":
        return True
    if op.name != "linalg.generic" or len(op.results) > 1:
        return False
    block = op.regions[0].blocks[0]
    if len(block.operations) != 1:
        return False
    value = block.operations[0].operation.operands[0]
    if isinstance(value.owner, ir.Block):
        return len(op.operands) == 2 and not isinstance(op.operands[0].type, ir.ShapedType)
    return len(op.operands) == 1


def fills_with_zeros(op: ir.Operation) -> bool:
    """Whether `op` writes floating-point zeros everywhere."""
    if not is_fill(op):
        return False
    value = op.operands[0]
    if op.name != "linalg.fill":
        inner = op.regions[0].blocks[0].operations[0].operation.operands[0]
        value = value if isinstance(inner.owner, ir.Block) else inner
    producer = owner(value)
    if producer is None or producer.name != "arith.constant":
        return False
    constant = producer.attributes["value"]
    return isinstance(constant, ir.FloatAttr) and constant.value == 0.0


def as_projection(op: ir.Operation | None) -> list[int] | None:
    """The result dimension that each source dimension becomes, if `op` only permutes and repeats.

    All result dimensions are mentioned if it repeats nothing.
    """
    if op is None or len(op.results) != 1:
        return None
    if op.name == "linalg.transpose":
        permutation = list(ir.DenseI64ArrayAttr(op.attributes["permutation"]))
        return [permutation.index(dimension) for dimension in range(len(permutation))]
    if op.name != "linalg.generic" or len(op.operands) != 2 or not is_parallel(op):
        return None
    block = op.regions[0].blocks[0]
    if len(block.operations) != 1:
        return None
    if block.operations[0].operation.operands[0] != block.arguments[0]:
        return None
    maps = indexing_maps(op)
    if maps is None or not maps[0] or not isinstance(op.operands[0].type, ir.RankedTensorType):
        return None
    loops = len(ir.ArrayAttr(op.attributes["iterator_types"]))
    return [maps[1].index(loop) for loop in maps[0]] if len(maps[1]) == loops else None


def projections(loops: int, dimensions: Sequence[Sequence[int]]) -> ir.ArrayAttr:
    """Indexing maps of operations with `loops` loops; one list of loops for each operand."""
    maps = [ir.AffineMap.get(loops, 0, [ir.AffineDimExpr.get(d) for d in ds]) for ds in dimensions]
    return ir.ArrayAttr.get([ir.AffineMapAttr.get(map_) for map_ in maps])


def starts_from_zeros(reduction: ir.Operation) -> bool:
    """Whether the accumulator is filled with zeros by a ``linalg.fill`` (or its generic form)."""
    producer = owner(reduction.operands[len(reduction.operands) - 1])
    if producer is None or producer.name not in ("linalg.fill", "linalg.generic"):
        return False
    if producer.name == "linalg.generic":
        block = producer.regions[0].blocks[0]
        if len(block.operations) != 1 or len(producer.operands) != 2:
            return False
        if block.operations[0].operation.operands[0] != block.arguments[0]:
            return False
    value = owner(producer.operands[0])
    if value is None or value.name != "arith.constant":
        return False
    constant = value.attributes["value"]
    return isinstance(constant, ir.FloatAttr) and constant.value == 0.0
