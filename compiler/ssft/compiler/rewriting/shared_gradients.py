"""Parameters that share a gradient: two biases added to the same sum, as in parallel blocks.

Common subexpressions have been merged, so their gradient is one value and its sum of squares one
sum that the norm for clipping adds once per parameter. Masks differ by parameter, so that each
needs its own again; what stays equal is merged again afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.cost import gradients as gradients_of
from ssft.compiler.analysis.elementwise import full_reduction, is_elementwise
from ssft.compiler.rewriting.gradient_readers import Reach, all_gradients
from ssft.dialects._mlir import ir


def separate_shared_gradients(step: ir.Operation) -> int:
    """Gives every ``ssft.update`` a gradient and a sum in the norm that no other update reads.

    Gradients whose sums are used in another way than by adding one per parameter stay shared.
    Returns how many gradients were cloned.
    """
    sharing: dict[ir.Value, list[ir.Operation]] = {}
    for op in step_ir.operations(step):
        if op.name == "ssft.update" and len(gradients_of(op)) == 1:
            sharing.setdefault(gradients_of(op)[0], []).append(op)
    every_gradient = all_gradients(step)
    cloned = 0
    for gradient, updates in sharing.items():
        producer = step_ir.owner(gradient)
        if len(updates) < 2 or producer is None or len(producer.results) != 1:
            continue
        chain = _chain_to_sum(gradient, Reach(step, every_gradient))
        sums = [] if not chain else [(u.owner.operation, u.operand_number) for u in _uses(chain)]
        if chain is None or (chain and not _one_addend_each(sums, updates)):
            continue
        for number, update in enumerate(updates[1:], start=1):
            own = {gradient: _clone(producer, {})}
            update.operands[len(update.operands) - 1] = own[gradient]
            for op in chain:
                own[op.results[0]] = _clone(op, own)
            if chain:
                adder, operand = sums[number]
                adder.operands[operand] = own[chain[-1].results[0]]
            cloned += 1
    return cloned


def _uses(chain: Sequence[ir.Operation]) -> list[ir.OpOperand]:
    return list(chain[-1].results[0].uses)


def _clone(op: ir.Operation, replaced: dict[ir.Value, ir.Value]) -> ir.Value:
    """Clones `op` behind itself with some operands replaced."""
    with op.location, ir.InsertionPoint.after(op):
        copy = op.clone()
    for number, operand in enumerate(op.operands):
        if operand in replaced:
            copy.operands[number] = replaced[operand]
    return copy.results[0]


def _chain_to_sum(gradient: ir.Value, reach: Reach) -> list[ir.Operation] | None:
    """Returns the operations from `gradient` to its sum in the norm, the sum being the last.

    Empty if there is no norm; None if what reads the gradient is no such chain.
    """
    chain: list[ir.Operation] = []
    value = gradient
    while not chain or not full_reduction(chain[-1]):
        readers = {use.owner.operation for use in value.uses}
        readers = {
            reader
            for reader in readers
            if reader.name != "ssft.update" and "scalar" in reach.of(reader.results)
        }
        if not readers and not chain:
            return []
        reader = readers.pop() if len(readers) == 1 else None
        if reader is None or not (is_elementwise(reader) or full_reduction(reader)):
            return None
        chain.append(reader)
        value = reader.results[0]
    return chain


def _one_addend_each(
    sums: Sequence[tuple[ir.Operation, int]], updates: Sequence[ir.Operation]
) -> bool:
    return len(sums) == len(updates) and all(_is_addition(op) for op, _ in sums)


def _is_addition(op: ir.Operation) -> bool:
    """Whether `op` adds two scalars (tensors without dimensions)."""
    if not is_elementwise(op) or step_ir.shape_of(op.results[0]) != []:
        return False
    block = op.regions[0].blocks[0]
    body = [inner.operation for inner in block.operations]
    inputs = set(block.arguments[: len(block.arguments) - 1])
    return (
        [inner.name for inner in body] == ["arith.addf", "linalg.yield"]
        and set(body[0].operands) <= inputs
        and body[1].operands[0] == body[0].results[0]
    )
