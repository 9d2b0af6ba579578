"""Which results update which parameter and its optimizer states."""

from __future__ import annotations

from dataclasses import dataclass

from ssft.compiler.analysis import step as step_ir
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class UpdateGroup:
    """One parameter's update, as numbers (no handles into the IR).

    `argument` and `result` belong to the weight; `states` holds ``(argument, result)`` of each of
    its optimizer states, in argument order.
    """

    name: str
    argument: int
    result: int
    states: tuple[tuple[int, int], ...]


def update_groups(step: ir.Operation) -> list[UpdateGroup]:
    """Returns the update of every parameter that has one, in argument order."""
    arguments = step_ir.argument_attributes(step)
    weights: dict[str, tuple[int, int]] = {}
    states: dict[str, list[tuple[int, int]]] = {}
    for result, attributes in enumerate(step_ir.result_attributes(step)):
        argument = step_ir.updated_argument(attributes)
        if argument is None:
            continue
        name = step_ir.text(arguments[argument], "ssft.name") or ""
        role = step_ir.text(arguments[argument], "ssft.role")
        if role == "trainable":
            weights[name] = (argument, result)
        elif role == "state":
            states.setdefault(name, []).append((argument, result))
    return [
        UpdateGroup(name, argument, result, tuple(sorted(states.get(name, ()))))
        for name, (argument, result) in sorted(weights.items(), key=lambda item: item[1])
    ]


_PARTS = frozenset({"tensor.extract_slice", "ssft.gather", "ssft.scatter", "tensor.insert_slice"})


def updated_parameter(update: ir.Operation) -> int | None:
    """Returns the number of the argument that the weight of an ``ssft.update`` is (a part of).

    None if the weight is computed by anything but slices.
    """
    value = update.operands[0]
    producer = step_ir.owner(value)
    while producer is not None:
        if producer.name not in _PARTS:
            return None
        value = producer.operands[1 if producer.name == "tensor.insert_slice" else 0]
        producer = step_ir.owner(value)
    return ir.BlockArgument(value).arg_number
