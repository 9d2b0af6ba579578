"""``cpu-write-in-place``: make each update write into the argument that it updates.

Every result with ``ssft.updates_arg`` is given that argument as its destination, and the argument
is marked ``bufferization.writable``. Bufferization's analysis then decides: if the old value is
still read afterwards it inserts a copy, otherwise the update happens in place. Aliasing output and
input buffers behind the analysis' back instead would train silently wrong, since the output
buffer may be scratch long before the last read of the old value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ssft.compiler.analysis.contractions import indexing_maps
from ssft.compiler.analysis.elementwise import is_elementwise
from ssft.compiler.analysis.step import owner, terminator
from ssft.compiler.passes import _build as build
from ssft.compiler.passes.base import Pass, PassContext
from ssft.compiler.plan_schema import find_step, read_signature
from ssft.dialects._mlir import ir

# Operation -> number of the operand that its (only) result is written into.
_DESTINATION = {
    "tensor.insert_slice": 1,
    "tensor.parallel_insert_slice": 1,
    "tensor.insert": 1,
    "tensor.scatter": 1,
}


@dataclass(frozen=True)
class CpuWriteInPlacePass(Pass):
    """Ties every updated argument to its update and sinks the updates below all other uses."""

    argument: ClassVar[str] = "cpu-write-in-place"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites ``@step``; expects it to be one block of tensor operations."""
        step = find_step(module)
        signature = read_signature(module)
        block = step.regions[0].blocks[0]
        end = terminator(step)
        with module.context:
            for result in signature.results:
                if result.updates_arg is not None:
                    target = block.arguments[result.updates_arg]
                    context.statistics[_tie(end, result.index, target)] += 1
            context.statistics["slices updated in place"] += _update_slices(step)
            _mark(step, {r.updates_arg for r in signature.results})


def _tie(end: ir.Operation, number: int, target: ir.BlockArgument) -> str:
    """Makes operand `number` of the return be written into `target`; says how."""
    value = end.operands[number]
    if value == target or _destination_root(value) == target:
        return "already in place"
    producer = owner(value)
    if producer is not None and producer.name == "linalg.generic":
        position = _unread_output(producer, value)
        if position is not None and _reaches_only_as_input(producer, target):
            producer.operands[position] = target
            return "destinations replaced"
    with ir.InsertionPoint(end), end.location:
        end.operands[number] = build.copy(value, target)
    return "copies added"


def _destination_root(value: ir.Value) -> ir.Value:
    """Follows destinations (``outs``, inserted-into tensors, loop inits) up to the first."""
    producer = owner(value)
    while producer is not None:
        number = [result == value for result in producer.results].index(True)
        if producer.name.startswith("linalg."):
            value = producer.operands[len(producer.operands) - len(producer.results) + number]
        elif producer.name == "scf.for":
            value = producer.operands[3 + number]
        elif producer.name in _DESTINATION:
            value = producer.operands[_DESTINATION[producer.name]]
        else:
            break
        producer = owner(value)
    return value


def _unread_output(generic: ir.Operation, value: ir.Value) -> int | None:
    """The operand number of `value`'s destination if the body does not read it."""
    number = [result == value for result in generic.results].index(True)
    position = len(generic.operands) - len(generic.results) + number
    argument = generic.regions[0].blocks[0].arguments[position]
    return None if len(list(argument.uses)) else position


def _reaches_only_as_input(generic: ir.Operation, target: ir.BlockArgument) -> bool:
    """Whether `target` is not already the destination of another result of `generic`."""
    outputs = list(generic.operands)[len(generic.operands) - len(generic.results) :]
    return target not in outputs


def _update_slices(step: ir.Operation) -> int:
    """Lets element-wise operations on a slice that goes back to its tensor write into the slice."""
    found: list[ir.Operation] = []

    def collect(op: ir.Operation) -> ir.WalkResult:
        if op.name == "tensor.insert_slice":
            found.append(op)
        return ir.WalkResult.ADVANCE

    step.walk(collect)
    return sum(_update_slice(op) for op in found)


def _update_slice(insert: ir.Operation) -> bool:
    value, dest = insert.operands[0], insert.operands[1]
    producer = owner(value)
    if producer is None or not is_elementwise(producer) or len(list(value.uses)) != 1:
        return False
    position = _unread_output(producer, value)
    maps = indexing_maps(producer) or []
    if position is None:
        return False
    for number, candidate in enumerate(list(producer.operands)[:position]):
        slice_ = owner(candidate)
        if slice_ is None or slice_.name != "tensor.extract_slice" or candidate.type != value.type:
            continue
        if slice_.operands[0] == dest and maps[number] == maps[position]:
            producer.operands[position] = candidate
            return True
    return False


def _mark(step: ir.Operation, updated: set[int | None]) -> None:
    """Marks updated arguments writable and all others not."""
    count = len(step.regions[0].blocks[0].arguments)
    old = step.attributes["arg_attrs"]
    new = []
    for number in range(count):
        entries = {old[number][i].name: old[number][i].attr for i in range(len(old[number]))}
        entries["bufferization.writable"] = ir.BoolAttr.get(number in updated)
        new.append(ir.DictAttr.get(entries))
    step.attributes["arg_attrs"] = ir.ArrayAttr.get(new)
