"""What a kernel does, whatever buffers it does it with."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from ssft.compiler.backends.hw.graph import (
    ContractionOp,
    GraphOp,
    Lookup,
    LoopNest,
    Operand,
    RowLookup,
    ScatterAdd,
)
from ssft.compiler.backends.hw.kernels.form import Kernel, VectorKernel
from ssft.compiler.backends.hw.views import Buffer, View
from ssft.hwmodel.isa import MicroOp


@dataclass(frozen=True)
class Pattern:
    """A kernel with numbers for its buffers; ``buffers[i]`` is number i.

    Kernels of equal `key` are the same kernel on other buffers: it holds everything about the
    operations and their buffers that tiles and commands depend on. It has neither names nor places
    in the source, which commands refer to by their tag alone.
    """

    key: Hashable
    buffers: tuple[Buffer, ...]

    @classmethod
    def of(cls, kernel: Kernel) -> Pattern:
        """Returns the pattern of a kernel."""
        numbers = _Numbers()
        operations: Hashable
        if isinstance(kernel, VectorKernel):
            nests = tuple(_nest(nest, numbers) for nest in kernel.nests)
            summed = tuple(sorted(n for key, n in numbers.of_id.items() if key in kernel.summed))
            operations = ("vector", kernel.rows, nests, summed)
        else:
            operations = _operation(kernel.op, numbers)
        return cls((operations, tuple(map(_described, numbers.buffers))), tuple(numbers.buffers))


@dataclass
class _Numbers:
    """Numbers buffers in the order in which they are first seen."""

    buffers: list[Buffer] = field(default_factory=list)
    of_id: dict[int, int] = field(default_factory=dict)

    def of(self, buffer: Buffer) -> int:
        number = self.of_id.setdefault(id(buffer), len(self.buffers))
        if number == len(self.buffers):
            self.buffers.append(buffer)
        return number


def _described(buffer: Buffer) -> Hashable:
    stored = buffer.storage, buffer.elements, repr(buffer.splat)
    return buffer.kind, buffer.dtype, *stored, buffer.mirror is None


def _operation(op: GraphOp, numbers: _Numbers) -> Hashable:
    match op:
        case ContractionOp():
            index = None if op.index is None else (op.index[0], _view(op.index[1], numbers))
            places = tuple((numbers.of(buffer), offset) for buffer, offset in (op.a, op.b, op.c))
            return (
                *("contraction", op.dims, places, index, op.source, op.accumulate),
                op.masked_macs,
            )
        case RowLookup():
            places = (numbers.of(op.table), numbers.of(op.out), _view(op.index, numbers))
            return "lookup", places, op.offset, op.pitch, op.row_elements, op.count
        case ScatterAdd():
            places = (numbers.of(op.out), numbers.of(op.source), _view(op.index, numbers))
            return "scatter", places, op.rows, op.row_elements, op.source_offset, op.count
    raise TypeError(f"{type(op).__name__} is no kernel of its own")


def _nest(nest: LoopNest, numbers: _Numbers) -> Hashable:
    operands = [tuple(_operand(o, numbers) for o in found) for found in (nest.inputs, nest.outputs)]
    return (
        *(nest.extents, tuple(nest.reduction), *operands, _code(nest.code), tuple(nest.results)),
        *(tuple(_lookup(lookup, numbers) for lookup in nest.lookups), nest.optimizer),
    )


def _operand(operand: Operand, numbers: _Numbers) -> Hashable:
    index = tuple(None if view is None else _view(view, numbers) for view in operand.index)
    place = numbers.of(operand.buffer), operand.offset
    return *place, operand.strides, index, repr(operand.initial)


def _lookup(lookup: Lookup, numbers: _Numbers) -> Hashable:
    shape = lookup.extents, lookup.strides, lookup.loops
    return numbers.of(lookup.buffer), lookup.offset, *shape


def _view(view: View, numbers: _Numbers) -> Hashable:
    dims = tuple(
        tuple((f.extent, f.stride, f.source, f.index and _view(f.index, numbers)) for f in dim)
        for dim in view.dims
    )
    return numbers.of(view.buffer), view.offset, dims


def _code(code: Sequence[MicroOp]) -> Hashable:
    # By how immediates are written: as numbers, 0.0 would be -0.0, and 1 would be 1.0.
    return tuple((op.name, op.operands, op.dtype, repr(op.immediate)) for op in code)
