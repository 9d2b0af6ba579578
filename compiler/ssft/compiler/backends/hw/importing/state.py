"""What the importers of single operations share: values, buffers, and the list they write to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ssft.compiler.backends.hw.graph import GraphOp, Lookup, LoopNest, Operand, Origin
from ssft.compiler.backends.hw.importing.bodies import element_type
from ssft.compiler.backends.hw.views import (
    Buffer,
    Factor,
    View,
    common_extents,
    packed_strides,
    split_factors,
    whole,
)
from ssft.dialects._mlir import ir
from ssft.hwmodel.isa import MicroOp
from ssft.hwmodel.isa.dtypes import DType


@dataclass(slots=True)
class ImportState:
    """The step as far as it has been imported.

    `values` are tensors (0-d ones stand for scalars picked out of tensors, too). `in_place` holds
    the values that live in an argument's own memory: results of the chain of writes into it.
    `written` are ids of buffers that DMA has written parts of so far; they are read from DRAM.
    """

    values: dict[ir.Value, View] = field(default_factory=dict)
    ops: list[GraphOp] = field(default_factory=list)
    buffers: list[Buffer] = field(default_factory=list)
    in_place: dict[ir.Value, int] = field(default_factory=dict)
    written: set[int] = field(default_factory=set)
    unsupported: Counter[str] = field(default_factory=Counter)
    origin: Origin = field(default_factory=lambda: Origin("", "forward"))

    def new_buffer(self, name: str, dtype: DType, shape: Sequence[int]) -> Buffer:
        """A buffer for a computed value of `shape`."""
        elements = 1
        for extent in shape:
            elements *= extent
        buffer = Buffer(name, dtype, elements, shape=tuple(shape), number=len(self.buffers))
        self.buffers.append(buffer)
        return buffer

    def new_value(self, value: ir.Value, order: Sequence[int] | None = None) -> View:
        """A fresh buffer for tensor `value`; dimensions laid out in `order`."""
        shape = list(ir.RankedTensorType(value.type).shape)
        buffer = self.new_buffer(self.origin.name, element_type(value.type), shape)
        buffer.order = tuple(order) if order is not None else ()
        return whole(buffer, shape, order)

    def splat(self, number: int | float, dtype: DType, shape: Sequence[int]) -> View:
        """A tensor whose elements are all `number`; takes no memory."""
        buffer = Buffer("splat", dtype, 1, kind="constant", splat=number)
        return whole(buffer, shape)

    def materialized(self, view: View) -> View:
        """`view` copied to a buffer of its own, row-major."""
        buffer = self.new_buffer(self.origin.name, view.buffer.dtype, view.shape)
        result = whole(buffer, view.shape)
        self.copy(view, result)
        return result

    def direct(self, view: View) -> View:
        """`view`, or a copy of it if it gathers from a computed value, which only lookups can."""
        return self.materialized(view) if self.looked_up_on_chip(view) else view

    def looked_up_on_chip(self, view: View) -> bool:
        """Whether a view gathers from a computed value; from other memory, DMA does."""
        in_dram = view.buffer.kind != "value" or id(view.buffer) in self.written
        return bool(view.index_factors) and not in_dram

    def contiguous(self, view: View) -> View:
        """`view`, or a copy of it if its elements do not lie one after the other.

        What is in an argument's memory that was written is copied, too: of what commands look up a
        copy in the scratchpad may have been made before.
        """
        strides = packed_strides(view.shape)
        gaps = any(
            extent > 1 and dim != (Factor(extent, stride),)
            for dim, extent, stride in zip(view.dims, view.shape, strides, strict=True)
        )
        moved = view.buffer.splat is not None or id(view.buffer) in self.written
        if gaps or moved or view.index_factors:
            return self.materialized(view)
        return view

    def copy(self, source: View, target: View) -> None:
        """Appends a loop nest that copies `source` to `target`, tensors of one shape."""
        extents, operands = align([source, target])
        if operands is None:
            raise AssertionError("a fresh buffer can be split as any other")
        read, written = operands
        parallel = (False,) * len(extents)
        if self.looked_up_on_chip(source):
            self.ops.append(_gather_nest(self.origin, extents, source, read, written))
            return
        code, inputs, register = constant_or_input(source, read)
        self.ops.append(
            LoopNest(self.origin, extents, parallel, inputs, [written], code, [register])
        )


def _gather_nest(
    origin: Origin, extents: tuple[int, ...], source: View, read: Operand, written: Operand
) -> LoopNest:
    """Copies a gathered view of a computed value: the list is an input, the value looked up."""
    (loop,) = (d for d, view in enumerate(read.index) if view is not None)
    index = read.index[loop]
    assert index is not None
    strides = [0] * len(extents)
    strides[loop] = index.dims[0][0].stride
    lookup = Lookup(
        source.buffer,
        source.offset,
        tuple(source.index_factors[0].source if d == loop else e for d, e in enumerate(extents)),
        read.strides,
        tuple(None if d == loop else d for d in range(len(extents))),
    )
    registers = tuple(0 if d == loop else -1 for d in range(len(extents)))
    return LoopNest(
        origin,
        extents,
        (False,) * len(extents),
        [Operand(index.buffer, index.offset, tuple(strides))],
        [written],
        [MicroOp("extract", registers, source.buffer.dtype, 0)],
        [2],
        [lookup],
    )


def constant_or_input(source: View, operand: Operand) -> tuple[list[MicroOp], list[Operand], int]:
    """Code, inputs and register to read a source: a splat is a constant, nothing is loaded."""
    if source.buffer.splat is None:
        return [], [operand], 0
    # Register 0 is the output's current value here.
    return [MicroOp("constant", (), source.buffer.dtype, source.buffer.splat)], [], 1


def align(views: Sequence[View]) -> tuple[tuple[int, ...], list[Operand] | None]:
    """Loops over all elements of tensors of one shape, and how each tensor moves along them."""
    loops: list[int] = []
    strides: list[list[int]] = [[] for _ in views]
    indexes: list[list[View | None]] = [[] for _ in views]
    for dims in zip(*(view.dims for view in views), strict=True):
        extents = common_extents(dims)
        if extents is None:
            return (), None
        loops += extents
        for number, dim in enumerate(dims):
            factors = split_factors(dim, extents)
            if factors is None:
                return (), None
            strides[number] += [f.stride for f in factors]
            indexes[number] += [f.index for f in factors]
    operands = [
        Operand(view.buffer, view.offset, tuple(s), tuple(i))
        for view, s, i in zip(views, strides, indexes, strict=True)
    ]
    return tuple(loops), operands
