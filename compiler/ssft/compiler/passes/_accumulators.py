"""Which operations of a reduction's body accumulate."""

from __future__ import annotations

from ssft.dialects._mlir import ir

_COMBINERS = ("arith.addf", "arith.mulf")


def accumulators(generic: ir.Operation) -> list[ir.Operation]:
    """The operations of a reduction that combine the accumulator with something else."""
    iterators = ir.ArrayAttr(generic.attributes["iterator_types"])
    if not any("reduction" in str(kind) for kind in iterators):
        return []
    block = generic.regions[0].blocks[0]
    yielded = block.operations[len(block.operations) - 1].operation.operands
    inputs = len(block.arguments) - len(yielded)
    found = []
    for number, value in enumerate(yielded):
        accumulator = block.arguments[inputs + number]
        if isinstance(value.owner, ir.Block) or value.owner.operation.name not in _COMBINERS:
            continue
        combiner = value.owner.operation
        if accumulator in combiner.operands and len(list(accumulator.uses)) == 1:
            found.append(combiner)
    return found
