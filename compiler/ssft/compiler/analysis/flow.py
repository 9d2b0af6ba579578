"""A step as numbers: which operation makes and reads which storage, and what that costs.

Reading the IR once and asking many questions of plain numbers is how a choice of what to recompute
can try dozens of plans for a step of ten thousand operations; and numbers outlive changes of the
IR.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from math import prod

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.analysis.contractions import as_contraction
from ssft.compiler.analysis.liveness import (
    FREE,
    VIEWS,
    Access,
    alive_bytes,
    bytes_of,
    makes_storage,
)
from ssft.compiler.analysis.phases import ancestors, forward_operations, loss_values, used_values
from ssft.dialects._mlir import ir

ARGUMENT = -1
"""The producer of an argument's storage."""


@dataclass(frozen=True)
class FlowOp:
    """One operation: the storages that it `reads` and `makes`, by number.

    A view makes none. `flops` is the number of scalar operations, a multiply-add being 2; those of
    contractions are `products`, too. `key` is equal for operations that do the same with operands
    of the same types.
    """

    name: str
    reads: tuple[int, ...]
    makes: tuple[int, ...]
    flops: int
    products: int
    key: Hashable

    @property
    def is_view(self) -> bool:
        """Whether its result is its operand's memory."""
        return self.name in VIEWS

    @property
    def is_free(self) -> bool:
        """Whether its result is alike everywhere, or known at compile time."""
        return self.name in FREE


@dataclass(frozen=True)
class Flow:
    """The operations of a step in order, the return included.

    Storage s takes `sizes[s]` bytes; operation `producers[s]` makes it, or it is an `ARGUMENT`.
    Sizes are 0 for arguments, for what is alike everywhere, and for what is written onto an
    argument. The first `forward` operations are the forward pass; `needed` are those of them that
    a loss or metric depends on.
    """

    ops: tuple[FlowOp, ...]
    sizes: tuple[int, ...]
    producers: tuple[int, ...]
    forward: int
    needed: frozenset[int]

    @classmethod
    def of(cls, step: ir.Operation) -> Flow:
        """Reads `step`."""
        return _Reader(step).flow()

    def is_activation(self, storage: int) -> bool:
        """Whether the forward pass computes this storage, and it takes memory."""
        return ARGUMENT < self.producers[storage] < self.forward and self.sizes[storage] > 0

    def saved(self) -> list[int]:
        """Storages that the forward pass makes and the rest of the step reads, in that order."""
        found: dict[int, None] = {}
        for op in self.ops[self.forward : -1]:
            if not op.is_view:
                found |= dict.fromkeys(s for s in op.reads if self.is_activation(s))
        return list(found)

    def bytes(self, storages: list[int] | set[int]) -> int:
        """The size of several storages."""
        return sum(self.sizes[s] for s in storages)

    def peak(self) -> int:
        """The most bytes of temporaries that are alive at once."""
        return max(alive_bytes([self.access(op) for op in self.ops]))

    def access(self, op: FlowOp) -> Access[int]:
        """What `op` does to memory."""
        made = {s: self.sizes[s] for s in op.makes if self.sizes[s]}
        return Access(op.reads, made, op.name == "linalg.generic")


class _Reader:
    """Numbers storages and operations."""

    def __init__(self, step: ir.Operation) -> None:
        self.step = step
        self.storages: dict[ir.Value, int] = {}
        self.sizes: list[int] = []
        self.producers: list[int] = []
        for argument in step_ir.body(step).arguments:
            self._new(argument, ARGUMENT, 0)

    def flow(self) -> Flow:
        handles = list(step_ir.operations(self.step))
        ops = tuple(self._op(number, op) for number, op in enumerate(handles))
        forward = forward_operations(self.step)
        needed = ancestors(loss_values(self.step))
        return Flow(
            ops,
            tuple(self.sizes),
            tuple(self.producers),
            len(forward),
            frozenset(number for number, op in enumerate(handles) if op in needed),
        )

    def _new(self, value: ir.Value, producer: int, size: int) -> int:
        self.storages[value] = len(self.sizes)
        self.sizes.append(size)
        self.producers.append(producer)
        return self.storages[value]

    def _op(self, number: int, op: ir.Operation) -> FlowOp:
        values = [v for v in used_values(op) if isinstance(v.type, ir.RankedTensorType)]
        reads = tuple(dict.fromkeys(self.storages[value] for value in values))
        makes: tuple[int, ...] = ()
        if op.name in VIEWS:
            self.storages[op.results[0]] = self.storages[op.operands[0]]
        else:
            kept = makes_storage(op)
            makes = tuple(
                self._new(result, number, bytes_of(result) if kept else 0)
                for result in op.results
                if isinstance(result.type, ir.RankedTensorType)
            )
        contraction = as_contraction(op)
        products = contraction.flops if contraction is not None else 0
        body = [inner.operation.name for region in op.regions for inner in region.blocks[0]]
        flops = products or _elements(op) * max(1, sum(map(_computes, body)))
        types = tuple(str(value.type) for value in (*values, *op.results))
        return FlowOp(op.name, reads, makes, flops, products, (op.name, types, tuple(body)))


def _elements(op: ir.Operation) -> int:
    """The elements that `op` goes over: those of its largest operand or result."""
    shapes = (step_ir.shape_of(value) for value in (*op.operands, *op.results))
    return max((prod(shape) for shape in shapes if shape is not None), default=0)


def _computes(name: str) -> bool:
    return name.startswith(("arith.", "math."))
