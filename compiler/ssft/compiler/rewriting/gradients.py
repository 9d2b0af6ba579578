"""Slices of gradients, computed as slices wherever the operation allows it."""

from __future__ import annotations

from collections.abc import Sequence

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.contractions import Contraction, as_contraction, indexing_maps
from ssft.compiler.analysis.elementwise import is_elementwise
from ssft.compiler.rewriting.slices import Selector, Selectors, take, tensor_type, transpose
from ssft.dialects._mlir import ir


class GradientSlicer:
    """Pulls slices through the operations that compute gradients.

    A slice of a contraction is a contraction of slices (``ssft.weight_grad``); a slice of an
    element-wise operation is that operation on slices; anything else is computed whole and then
    sliced, which is always right. Each slice is built once.
    """

    def __init__(self) -> None:
        self._slices: dict[tuple[ir.Value, Selectors], ir.Value] = {}

    def slice(self, value: ir.Value, selectors: Selectors) -> ir.Value:
        """Returns the slice of `value` that `selectors` (one per dimension) name."""
        if all(selector is None for selector in selectors):
            return value
        key = (value, selectors)
        if key not in self._slices:
            self._slices[key] = self._build(value, selectors)
        return self._slices[key]

    def _build(self, value: ir.Value, selectors: Selectors) -> ir.Value:
        producer = step_ir.owner(value)
        if producer is None:
            # Regularisers make arguments, e.g. the weights to stay close to, a part of gradients.
            with ir.InsertionPoint.at_block_begin(ir.BlockArgument(value).owner):
                return take(value, selectors)
        with producer.location:
            contraction = as_contraction(producer)
            if contraction is not None and _is_matrix_product(producer, contraction):
                with ir.InsertionPoint(producer):
                    return _weight_gradient(producer, contraction, selectors)
            if is_elementwise(producer):
                return self._clone_elementwise(producer, selectors)
            if producer.name == "linalg.transpose":
                return self._slice_transpose(producer, selectors)
            if producer.name == "ssft.scatter_add" and selectors[_dim(producer)] is None:
                with ir.InsertionPoint(producer):
                    return _scatter_add(producer, selectors)
            with ir.InsertionPoint.after(producer):
                return take(value, selectors)

    def _slice_transpose(self, op: ir.Operation, selectors: Selectors) -> ir.Value:
        """Builds the transpose `op` of a slice of its operand."""
        order = list(ir.DenseI64ArrayAttr(op.attributes["permutation"]))
        inner: list[Selector] = [None] * len(order)
        for dim, source_dim in enumerate(order):
            inner[source_dim] = selectors[dim]
        part = self.slice(op.operands[0], tuple(inner))
        with ir.InsertionPoint(op):
            return transpose(part, order)

    def _clone_elementwise(self, op: ir.Operation, selectors: Selectors) -> ir.Value:
        """Builds the element-wise `op` on slices of its operands."""
        maps = indexing_maps(op)
        assert maps is not None
        identity = tuple(range(len(selectors)))
        operands = []
        with op.location:
            for operand, loops in zip(op.operands, maps, strict=True):
                wanted = tuple(selectors[loop] for loop in loops)
                if loops == identity and self._is_computed(operand):
                    operands.append(self.slice(operand, wanted))
                else:
                    with ir.InsertionPoint(op):
                        operands.append(take(operand, wanted))
            with ir.InsertionPoint(op):
                copy = op.clone()
            for number, operand in enumerate(operands):
                copy.operands[number] = operand
            copy.results[0].set_type(
                tensor_type(step_ir.shape_of(operands[-1]) or [], operands[-1])
            )
        return copy.results[0]

    @staticmethod
    def _is_computed(value: ir.Value) -> bool:
        producer = step_ir.owner(value)
        return producer is not None and producer.name not in ("tensor.empty", "linalg.fill")


def _is_matrix_product(op: ir.Operation, found: Contraction) -> bool:
    """Whether `op` is the product of two matrices and nothing is added to it."""
    plain = not found.batch and len(found.m) == 1 and len(found.n) == 1
    return plain and (op.name == "ssft.weight_grad" or is_zero(op.operands[2]))


def is_zero(value: ir.Value) -> bool:
    """Whether a tensor is made of zeros, by ``linalg.fill`` or as a constant."""
    producer = step_ir.owner(value)
    if producer is not None and producer.name == "linalg.fill":
        producer = step_ir.owner(producer.operands[0])
    if producer is None or producer.name != "arith.constant":
        return False
    element = producer.attributes["value"]
    if isinstance(element, ir.DenseElementsAttr) and element.is_splat:
        element = element.get_splat_value()
    return isinstance(element, ir.FloatAttr) and element.value == 0


def _weight_gradient(op: ir.Operation, found: Contraction, selectors: Selectors) -> ir.Value:
    """Builds ``ssft.weight_grad`` of slices of the two operands of a matrix product."""
    first, second = found.out
    sides = []
    for loop, selector in ((first, selectors[0]), (second, selectors[1])):
        operand, loops = (
            (op.operands[0], found.lhs) if loop in found.lhs else (op.operands[1], found.rhs)
        )
        tokens = tuple(k for k in found.lhs if k in found.k)
        sides.append(_sliced_side(operand, loops, (*tokens, loop), selector))
    result = [side.type.shape[-1] for side in sides]
    return ir.Operation.create(
        "ssft.weight_grad", results=[tensor_type(result, op.results[0])], operands=sides
    ).result


def _sliced_side(
    operand: ir.Value, loops: Sequence[int], wanted: Sequence[int], selector: Selector
) -> ir.Value:
    """Brings an operand into the order tokens..., channels and slices its channels."""
    if tuple(loops) != tuple(wanted):
        producer = step_ir.owner(operand)
        order = [list(loops).index(loop) for loop in wanted]
        if producer and producer.name == "linalg.transpose" and _undoes(producer, order):
            operand = producer.operands[0]
        else:
            operand = transpose(operand, order)
    return take(operand, (*(None for _ in wanted[:-1]), selector))


def _undoes(producer: ir.Operation, order: Sequence[int]) -> bool:
    permutation = list(ir.DenseI64ArrayAttr(producer.attributes["permutation"]))
    return [permutation[i] for i in order] == list(range(len(order)))


def _scatter_add(op: ir.Operation, selectors: Selectors) -> ir.Value:
    """Builds the embedding gradient for some of the embedding's channels."""
    dest, indices, updates = op.operands
    parts = [take(dest, selectors), indices, take(updates, selectors)]
    return ir.Operation.create(
        "ssft.scatter_add",
        results=[parts[0].type],
        operands=parts,
        attributes={"dim": step_ir.i64(_dim(op))},
    ).result


def _dim(op: ir.Operation) -> int:
    return ir.IntegerAttr(op.attributes["dim"]).value
