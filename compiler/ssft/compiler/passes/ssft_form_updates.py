"""``ssft-form-updates``: recognise the optimizer's element-wise program of each parameter.

From a result marked ``ssft.updates_arg`` walk back through element-wise operations to the leaves:
the weight, its states, 0-d scalars, and the gradient. The closure becomes the region of one
``ssft.update``. No operation names are listed anywhere: element-wise is a property of indexing
maps, so any optimizer whose update is element-wise is recognised.

The backward pass may end in element-wise operations, too (sums over several uses of a weight,
regularisers, ``tanh(W)``), so where the gradient ends and the optimizer begins cannot be seen. The
frontend says it by returning the gradients; without that, the leaves take their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.contractions import indexing_maps
from ssft.compiler.analysis.elementwise import is_elementwise
from ssft.compiler.analysis.updates import UpdateGroup, update_groups
from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir
from ssft.dialects.ssft.update import SCALAR_DIALECTS


@dataclass(frozen=True)
class FormUpdatesPass(Pass):
    """Replaces each parameter's element-wise update by one ``ssft.update`` operation.

    The gradient becomes its last operand: the result of ``@step`` with role ``gradient`` and the
    parameter's name. Where there is none, all leaves that are neither weight, state nor scalar are
    gradients. The results with role ``gradient`` are dropped.

    A parameter whose new value does not depend on a gradient is left alone, and so is one whose
    states or gradients ``ssft.update`` cannot hold: states of another shape, mixed types.
    """

    argument: ClassVar[str] = "ssft-form-updates"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites ``@step``."""
        step = step_ir.find_step(module)
        with module.context, step.location:
            gradients = _take_gradients(step)
            for group in update_groups(step):
                if _form(step, group, gradients.get(group.name)):
                    context.statistics["updates formed"] += 1
                else:
                    context.remark(step, f"'{group.name}' is updated by no element-wise program")


def _take_gradients(step: ir.Operation) -> dict[str, ir.Value]:
    """Drops the results with role ``gradient``; returns them by the names of their parameters."""
    terminator = step_ir.terminator(step)
    gradients: dict[str, ir.Value] = {}
    values, results = [], []
    for value, attributes in zip(terminator.operands, step_ir.result_attributes(step), strict=True):
        if step_ir.text(attributes, "ssft.role") == "gradient":
            gradients[step_ir.text(attributes, "ssft.name") or ""] = value
        else:
            values.append(value)
            results.append(attributes)
    if gradients:
        with terminator.location, ir.InsertionPoint(terminator):
            ir.Operation.create("func.return", operands=values)
        terminator.erase()
        step_ir.set_signature(step, step_ir.argument_attributes(step), results)
    return gradients


def _form(step: ir.Operation, group: UpdateGroup, gradient: ir.Value | None) -> bool:
    terminator = step_ir.terminator(step)
    arguments = step_ir.body(step).arguments
    weight = arguments[group.argument]
    states = [arguments[argument] for argument, _ in group.states]
    roots = [terminator.operands[group.result]]
    roots += [terminator.operands[result] for _, result in group.states]
    closure = _Closure(weight, states, gradient)
    if not closure.collect(roots):
        return False
    producer = step_ir.owner(roots[0])
    location = producer.location if producer is not None else terminator.location
    gradients = closure.gradients
    with location, ir.InsertionPoint(terminator):
        scalars = {scalar: _read_scalar(scalar) for scalar in closure.scalars}
        operands = [weight, *states, *gradients]
        segments = ir.DenseI32ArrayAttr.get([1, len(states), len(gradients)])
        update = ir.Operation.create(
            "ssft.update",
            results=[value.type for value in (weight, *states)],
            operands=operands,
            attributes={"operandSegmentSizes": segments},
            regions=1,
        )
        elements = [ir.RankedTensorType(value.type).element_type for value in operands]
        block = update.regions[0].blocks.append(*elements)
        with ir.InsertionPoint(block):
            mapping = dict(zip(operands, block.arguments, strict=True)) | scalars
            results = [closure.emit(root, mapping) for root in roots]
            ir.Operation.create("ssft.yield", operands=results)
    for number, value in zip(
        (group.result, *(result for _, result in group.states)), update.results, strict=True
    ):
        terminator.operands[number] = value
    return True


def _read_scalar(value: ir.Value) -> ir.Value:
    """Reads a tensor of one element."""
    shape = step_ir.shape_of(value) or []
    index = ir.IndexType.get()
    zeros = [
        ir.Operation.create(
            "arith.constant",
            results=[index],
            attributes={"value": ir.IntegerAttr.get(index, 0)},
        ).result
        for _ in shape
    ]
    element = ir.RankedTensorType(value.type).element_type
    return ir.Operation.create("tensor.extract", results=[element], operands=[value, *zeros]).result


class _Closure:
    """The element-wise expressions between the leaves and the new values of one parameter."""

    def __init__(
        self, weight: ir.Value, states: Sequence[ir.Value], gradient: ir.Value | None
    ) -> None:
        self.own = {weight, *states}
        self.known = gradient is not None
        self.fits = {str(step_ir.shape_of(state)) for state in states} <= {
            str(step_ir.shape_of(weight))
        } and len({str(state.type) for state in states}) <= 1
        self.gradients: list[ir.Value] = [] if gradient is None else [gradient]
        self.scalars: list[ir.Value] = []
        self._seen: set[ir.Value] = set(self.gradients)

    def collect(self, roots: list[ir.Value]) -> bool:
        """Finds gradients and scalars; False if ``ssft.update`` cannot compute the new values."""
        for root in roots:
            self._visit(root)
        one_type = len({str(gradient.type) for gradient in self.gradients}) == 1
        is_program = roots[0] not in self.own and roots[0] not in self.gradients
        return one_type and is_program and self.fits

    def _visit(self, value: ir.Value) -> None:
        if value in self._seen or value in self.own:
            return
        self._seen.add(value)
        producer = step_ir.owner(value)
        if _splat(producer) is not None:
            return
        if producer is None or not self._expands(producer):
            # Of a scalar parameter only a known gradient can be told from other scalars.
            scalar = self.known and step_ir.shape_of(value) == []
            (self.scalars if scalar else self.gradients).append(value)
            return
        for operand, is_scalar in _inputs(producer):
            if not is_scalar:
                self._visit(operand)
            elif operand not in self._seen and _splat(step_ir.owner(operand)) is None:
                self._seen.add(operand)
                self.scalars.append(operand)

    def _expands(self, producer: ir.Operation | None) -> bool:
        """Whether a full-size value is computed element by element from scalars and peers."""
        if producer is None or not is_elementwise(producer):
            return False
        maps = indexing_maps(producer)
        assert maps is not None
        identity = maps[-1]
        return (
            (identity != () or self.known)
            and _is_scalar_program(producer)
            and all(
                loops == identity or _one_element(operand)
                for loops, operand in zip(maps[:-1], producer.operands, strict=False)
            )
        )

    def emit(self, value: ir.Value, mapping: dict[ir.Value, ir.Value]) -> ir.Value:
        """Emits the scalar program of `value`'s element; memoised in `mapping`."""
        if value in mapping:
            return mapping[value]
        producer = step_ir.owner(value)
        splat = _splat(producer)
        if splat is not None:
            mapping[value] = _constant(splat)
            return mapping[value]
        assert producer is not None
        block = producer.regions[0].blocks[0]
        local = {}
        for argument, (operand, _) in zip(block.arguments, _inputs(producer), strict=False):
            local[argument] = self.emit(operand, mapping)
        for inner in block.operations:
            inner = inner.operation
            if inner.name == "linalg.yield":
                yielded = inner.operands[0]
                mapping[value] = local.get(yielded, yielded)
                break
            copy = inner.clone()
            for number, operand in enumerate(inner.operands):
                if operand in local:
                    copy.operands[number] = local[operand]
            local.update(zip(inner.results, copy.results, strict=True))
        return mapping[value]


def _inputs(producer: ir.Operation) -> list[tuple[ir.Value, bool]]:
    """Returns the inputs of a generic and whether each is a scalar (the result's init is none)."""
    maps = indexing_maps(producer)
    assert maps is not None
    return [
        (operand, loops != maps[-1])
        for operand, loops in zip(list(producer.operands)[:-1], maps, strict=False)
    ]


def _is_scalar_program(producer: ir.Operation) -> bool:
    """Whether the body may stand in ``ssft.update``; what the result overwrites is no input."""
    block = producer.regions[0].blocks[0]
    *body, _ = (inner.operation for inner in block.operations)
    return not list(block.arguments[len(block.arguments) - 1].uses) and all(
        inner.name.split(".")[0] in SCALAR_DIALECTS and not len(inner.regions) for inner in body
    )


def _one_element(value: ir.Value) -> bool:
    shape = step_ir.shape_of(value)
    return shape is not None and all(size == 1 for size in shape)


def _splat(producer: ir.Operation | None) -> ir.Attribute | None:
    """Returns the element of a constant or filled tensor, as an attribute, or None."""
    if producer is None:
        return None
    if producer.name == "linalg.fill":
        return _splat_scalar(step_ir.owner(producer.operands[0]))
    if producer.name == "arith.constant":
        value = producer.attributes["value"]
        if isinstance(value, ir.DenseElementsAttr) and value.is_splat:
            return value.get_splat_value()
    return None


def _splat_scalar(producer: ir.Operation | None) -> ir.Attribute | None:
    if producer is None or producer.name != "arith.constant":
        return None
    value = producer.attributes["value"]
    return value if isinstance(value, (ir.FloatAttr, ir.IntegerAttr)) else None


def _constant(element: ir.Attribute) -> ir.Value:
    return ir.Operation.create(
        "arith.constant", results=[element.type], attributes={"value": element}
    ).result
