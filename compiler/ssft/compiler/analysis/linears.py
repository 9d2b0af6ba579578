"""What each dimension of a parameter does in the forward pass: contracted, produced, looked up."""

from __future__ import annotations

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.contractions import as_contraction
from ssft.compiler.analysis.elementwise import is_elementwise
from ssft.dialects._mlir import ir

INPUT = "input"
OUTPUT = "output"


def dimension_uses(
    step: ir.Operation, argument: int, forward: set[ir.Operation]
) -> tuple[frozenset[str], ...]:
    """Returns, per dimension of an argument, how contractions of the forward pass use it.

    ``input``: the dimension is contracted (input channels of a linear layer); ``output``: it
    becomes a dimension of the product (output channels). Transposes and element-wise operations
    such as casts are looked through. A parameter that is only looked up has empty sets.
    """
    value = step_ir.body(step).arguments[argument]
    shape = step_ir.shape_of(value) or []
    uses: list[set[str]] = [set() for _ in shape]
    _follow(value, tuple(range(len(shape))), forward, uses)
    return tuple(frozenset(use) for use in uses)


def _follow(
    value: ir.Value, dims: tuple[int, ...], forward: set[ir.Operation], uses: list[set[str]]
) -> None:
    """`dims[i]` is the parameter's dimension that dimension i of `value` is."""
    for use in value.uses:
        op = use.owner.operation
        if op not in forward:
            continue
        contraction = as_contraction(op)
        if contraction is not None and use.operand_number < 2:
            loops = contraction.lhs if use.operand_number == 0 else contraction.rhs
            for dim, loop in zip(dims, loops, strict=True):
                uses[dim].add(INPUT if loop in contraction.k else OUTPUT)
        elif op.name == "linalg.transpose" and use.operand_number == 0:
            permutation = list(ir.DenseI64ArrayAttr(op.attributes["permutation"]))
            _follow(op.results[0], tuple(dims[i] for i in permutation), forward, uses)
        elif is_elementwise(op) and step_ir.shape_of(op.results[0]) == step_ir.shape_of(value):
            _follow(op.results[0], dims, forward, uses)
