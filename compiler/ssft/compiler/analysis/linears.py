"""What each dimension of a parameter does in the forward pass: contracted, produced, looked up."""

from __future__ import annotations

from dataclasses import dataclass

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.contractions import Contraction, as_contraction
from ssft.compiler.analysis.elementwise import is_elementwise
from ssft.dialects._mlir import ir

INPUT = "input"
OUTPUT = "output"


@dataclass(frozen=True)
class LinearUse:
    """A contraction of the forward pass that has a parameter as operand `operand` (0 or 1).

    `loops[i]` is the loop that the parameter's dimension i runs over. The handle is valid until the
    IR changes.
    """

    op: ir.Operation
    operand: int
    loops: tuple[int, ...]
    contraction: Contraction

    def use_of(self, dim: int) -> str:
        """What becomes of a dimension: `INPUT` if it is contracted, else `OUTPUT`."""
        return INPUT if self.loops[dim] in self.contraction.k else OUTPUT


def linear_uses(step: ir.Operation, argument: int, forward: set[ir.Operation]) -> list[LinearUse]:
    """Returns the contractions of the forward pass that multiply by an argument.

    Transposes and element-wise operations such as casts are looked through.
    """
    value = step_ir.body(step).arguments[argument]
    found: list[LinearUse] = []
    _follow(value, tuple(range(len(step_ir.shape_of(value) or []))), forward, found)
    return found


def dimension_uses(
    step: ir.Operation, argument: int, forward: set[ir.Operation]
) -> tuple[frozenset[str], ...]:
    """Returns, per dimension of an argument, how contractions of the forward pass use it.

    ``input``: the dimension is contracted (input channels of a linear layer); ``output``: it
    becomes a dimension of the product (output channels). A parameter that is only looked up has
    empty sets.
    """
    rank = len(step_ir.shape_of(step_ir.body(step).arguments[argument]) or [])
    uses = linear_uses(step, argument, forward)
    return tuple(frozenset(use.use_of(dim) for use in uses) for dim in range(rank))


def _follow(
    value: ir.Value, dims: tuple[int, ...], forward: set[ir.Operation], found: list[LinearUse]
) -> None:
    """`dims[i]` is the parameter's dimension that dimension i of `value` is."""
    for use in value.uses:
        op = use.owner.operation
        if op not in forward:
            continue
        contraction = as_contraction(op)
        if contraction is not None and use.operand_number < 2:
            loops = contraction.lhs if use.operand_number == 0 else contraction.rhs
            of_dims = tuple(loop for _, loop in sorted(zip(dims, loops, strict=True)))
            found.append(LinearUse(op, use.operand_number, of_dims, contraction))
        elif op.name == "linalg.transpose" and use.operand_number == 0:
            permutation = list(ir.DenseI64ArrayAttr(op.attributes["permutation"]))
            _follow(op.results[0], tuple(dims[i] for i in permutation), forward, found)
        elif is_elementwise(op) and step_ir.shape_of(op.results[0]) == step_ir.shape_of(value):
            _follow(op.results[0], dims, forward, found)


def is_only_added(step: ir.Operation, argument: int, forward: set[ir.Operation]) -> bool:
    """Whether the forward pass does nothing with a vector but add it to something."""
    value = step_ir.body(step).arguments[argument]
    if len(step_ir.shape_of(value) or []) != 1:
        return False
    uses = [use for use in value.uses if use.owner.operation in forward]
    return bool(uses) and all(_is_addend(u.owner.operation, u.operand_number) for u in uses)


def _is_addend(op: ir.Operation, operand: int) -> bool:
    if not is_elementwise(op):
        return False
    element = op.regions[0].blocks[0].arguments[operand]
    readers = [use.owner.operation for use in element.uses]
    return bool(readers) and all(reader.name == "arith.addf" for reader in readers)
