"""Element-wise ``linalg.generic`` operations and what their bodies do to zeros."""

from __future__ import annotations

from collections.abc import Iterable

from ssft.compiler.analysis.contractions import indexing_maps
from ssft.compiler.analysis.step import owner, shape_of
from ssft.dialects._mlir import ir

# Operations whose value depends on where the element is, not only on the elements.
_POSITIONAL = frozenset({"linalg.index", "tensor.extract"})

# Operations that map zeros to zero (every operand zero).
_ZERO_PRESERVING = frozenset(
    {
        "arith.addf",
        "arith.subf",
        "arith.negf",
        "arith.extf",
        "arith.truncf",
        "math.absf",
        "math.sqrt",
        "math.fpowi",
        "math.powf",
        "math.tanh",
        "math.erf",
        "arith.maximumf",
        "arith.minimumf",
        "arith.maxnumf",
        "arith.minnumf",
    }
)


def is_parallel(op: ir.Operation) -> bool:
    """Whether all loops of a ``linalg.generic`` are parallel."""
    iterators = ir.ArrayAttr(op.attributes["iterator_types"])
    return all("parallel" in str(iterator) for iterator in iterators)


def is_elementwise(op: ir.Operation | None) -> bool:
    """Whether `op` is a one-result generic, all parallel, whose result map is the identity.

    Operands may be read through any map (scalars, broadcasts); the body must not depend on the
    position of the element.
    """
    if op is None or op.name != "linalg.generic" or len(op.results) != 1 or not is_parallel(op):
        return False
    maps = indexing_maps(op)
    if maps is None or maps[-1] != tuple(range(len(maps[-1]))):
        return False
    rank = len(ir.ArrayAttr(op.attributes["iterator_types"]))
    return len(maps[-1]) == rank and not _is_positional(op)


def _is_positional(op: ir.Operation) -> bool:
    block = op.regions[0].blocks[0]
    return any(inner.operation.name in _POSITIONAL for inner in block.operations)


def full_reduction(op: ir.Operation | None) -> bool:
    """Whether `op` is a one-result generic that adds all elements of its input into a scalar."""
    if op is None or op.name != "linalg.generic" or len(op.results) != 1:
        return False
    if shape_of(op.results[0]) != [] or len(op.operands) != 2:
        return False
    maps = indexing_maps(op)
    if maps is None or maps[0] != tuple(range(len(maps[0]))) or is_parallel(op):
        return False
    block = op.regions[0].blocks[0]
    last = block.operations[len(block.operations) - 1].operation
    add = owner(last.operands[0])
    return (
        add is not None
        and add.name == "arith.addf"
        and block.arguments[1] in list(add.operands)
        and not _is_positional(op)
    )


def zero_in_zero_out(op: ir.Operation, zero_operands: Iterable[int]) -> bool:
    """Whether an element of the result is zero (or the accumulator unchanged) for zero inputs.

    `zero_operands` are the operand numbers of `op` whose element is zero; all other block arguments
    are arbitrary finite numbers. For a reduction, the accumulator plays no part: the question is
    whether ``acc + f(0)`` is ``acc``.
    """
    block = op.regions[0].blocks[0]
    zeros: set[ir.Value] = {block.arguments[number] for number in zero_operands}
    accumulator = block.arguments[len(block.arguments) - 1]
    sums = not is_parallel(op)
    for inner in block.operations:
        inner = inner.operation
        if inner.name == "linalg.yield":
            return inner.operands[0] in zeros
        operands = list(inner.operands)
        if _is_zero(inner, zeros):
            zeros.add(inner.results[0])
        elif sums and inner.name == "arith.addf" and accumulator in operands:
            other = operands[1] if operands[0] == accumulator else operands[0]
            if other in zeros:
                zeros.add(inner.results[0])
    return False


def _is_zero(inner: ir.Operation, zeros: set[ir.Value]) -> bool:
    operands = list(inner.operands)
    if inner.name == "arith.mulf":
        return any(value in zeros for value in operands)
    if inner.name == "arith.divf":
        return operands[0] in zeros and operands[1] not in zeros
    if inner.name not in _ZERO_PRESERVING:
        return False
    if inner.name in ("math.powf", "math.fpowi"):
        exponent = owner(inner.operands[1])
        positive = (
            exponent is not None
            and exponent.name == "arith.constant"
            and (exponent.attributes["value"].value > 0)
        )
        return inner.operands[0] in zeros and positive
    return all(value in zeros for value in inner.operands)
