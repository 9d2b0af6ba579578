"""Entries of a program's tables, to which commands refer by `number`.

No ``from __future__ import annotations`` here: the annotations of an operation's fields are its
declaration, and are evaluated when the class is made.
"""

import math
from typing import Any

from ssft.dialects._mlir import ir
from ssft.dialects.spec import Operation, require
from ssft.dialects.ssft_hw.dialect import SsftHw
from ssft.dialects.ssft_hw.fields import (
    dictionaries,
    dtype,
    integer,
    integers,
    optional_integer,
    parent_is,
    string,
)

PROGRAM = "ssft_hw.program"
PHASES = ("forward", "input_gradient", "weight_gradient", "update")
PURPOSES = ("weight", "activation", "checkpoint", "gradient", "optimizer", "index", "input",
            "output")  # fmt: skip


class SourceOpOp(Operation, dialect=SsftHw, name="source_op"):
    """What the commands' `tag` stands for: an operation of the plan, or several fused ones.

    Its attribute `location` is the model's line; `macs` are the operation's multiply-adds and
    `masked_macs` those that a mask saved.

    Constraints:

    * (C1) `number`, `macs` and `masked_macs` are ``i64``, `number` at least 0.
    * (C2) `label`, `kind` and `source` are strings, `phase` one of ``forward``,
      ``input_gradient``, ``weight_gradient`` and ``update``.
    * (C3) It stands in ``ssft_hw.program``.

    Example::

        "ssft_hw.source_op"() {number = 0 : i64, label = "mlp", kind = "matmul", phase = "forward",
          source = "model.py:31", macs = 512 : i64, masked_macs = 0 : i64} : () -> ()
    """

    number: ir.IntegerAttr
    label: ir.StringAttr
    kind: ir.StringAttr
    phase: ir.StringAttr
    source: ir.StringAttr
    macs: ir.IntegerAttr
    masked_macs: ir.IntegerAttr

    def check(self) -> None:
        """Checks C1 to C3."""
        integer(self.attributes, "number", 0)  # source_op_c1
        for name in ("macs", "masked_macs"):
            integer(self.attributes, name)  # source_op_c1
        for name in ("label", "kind", "source"):
            string(self.attributes, name)  # source_op_c2
        string(self.attributes, "phase", PHASES)  # source_op_c2
        parent_is(self, PROGRAM)  # source_op_c3


class ContractionOp(Operation, dialect=SsftHw, name="contraction"):
    """A loop nest ``c[…] += a[…] * b[…]`` of the tensor unit.

    Each dimension has a kind, an extent, and a stride in elements in each operand. Operands are
    rounded to `multiply`; `indexed` is the number of the dimension along which an index list
    selects; a lane computes `lane_tile` rows and columns at a time.

    Constraints:

    * (C1) `number` is an ``i64``, at least 0.
    * (C2) `dims` is an array of dictionaries with `kind`, one of ``batch``, ``m``, ``n`` and
      ``k``, and ``i64`` numbers `extent`, `a`, `b` and `c`.
    * (C3) `a_dtype`, `b_dtype` and `c_dtype` are the machine's element types; `multiply` is
      ``bf16`` or ``f32``.
    * (C4) `lane_tile` holds two numbers; `indexed`, which may be left out, is an ``i64``.
    * (C5) It stands in ``ssft_hw.program``.

    Example::

        "ssft_hw.contraction"() {number = 0 : i64, dims = [
          {kind = "m", extent = 4 : i64, a = 16 : i64, b = 0 : i64, c = 8 : i64},
          {kind = "n", extent = 8 : i64, a = 0 : i64, b = 1 : i64, c = 1 : i64},
          {kind = "k", extent = 16 : i64, a = 1 : i64, b = 8 : i64, c = 0 : i64}],
          a_dtype = f32, b_dtype = f32, c_dtype = f32, multiply = "bf16",
          lane_tile = array<i64: 4, 8>} : () -> ()
    """

    number: ir.IntegerAttr
    dims: ir.ArrayAttr
    a_dtype: ir.TypeAttr
    b_dtype: ir.TypeAttr
    c_dtype: ir.TypeAttr
    multiply: ir.StringAttr
    lane_tile: Any

    def check(self) -> None:
        """Checks C1 to C5."""
        integer(self.attributes, "number", 0)  # contraction_c1
        for dim in dictionaries(self.attributes, "dims"):  # contraction_c2
            string(dim, "kind", ("batch", "m", "n", "k"))  # contraction_c2
            for name in ("extent", "a", "b", "c"):
                integer(dim, name)  # contraction_c2
        for operand in "abc":
            dtype(self.attributes, f"{operand}_dtype")  # contraction_c3
        string(self.attributes, "multiply", ("bf16", "f32"))  # contraction_c3
        tile = integers(self.attributes, "lane_tile")  # contraction_c4
        require(  # contraction_c4
            len(tile) == 2, f"attribute 'lane_tile' has {len(tile)} numbers, expected 2"
        )
        optional_integer(self.attributes, "indexed")  # contraction_c4
        parent_is(self, PROGRAM)  # contraction_c5


class ArgumentsOp(Operation, dialect=SsftHw, name="arguments"):
    """An argument list of vector commands: SPM byte addresses of a micro-program's operands.

    Constraints:

    * (C1) `number` is an ``i64``, at least 0.
    * (C2) `addresses` is an ``array<i64>`` of numbers of 32 bits.
    * (C3) It stands in ``ssft_hw.program``.

    Example::

        "ssft_hw.arguments"() {number = 0 : i64, addresses = array<i64: 768, 896>} : () -> ()
    """

    number: ir.IntegerAttr
    addresses: Any

    def check(self) -> None:
        """Checks C1 to C3."""
        integer(self.attributes, "number", 0)  # arguments_c1
        for address in integers(self.attributes, "addresses"):  # arguments_c2
            require(  # arguments_c2
                not address >> 32,
                f"attribute 'addresses' holds {address}, which does not fit 32 bits",
            )
        parent_is(self, PROGRAM)  # arguments_c3


class BufferOp(Operation, dialect=SsftHw, name="buffer"):
    """A tensor in DRAM, row-major in the given `order` of its dimensions, without padding.

    `argument` and `result` are the numbers of the step's argument and result that it holds,
    `mirror` that of the argument of which it is a copy in another type; `data` are the initial
    contents of a constant. One with `first` and `last` is live between these operations only.

    Constraints:

    * (C1) `number`, `address` and `bytes` are ``i64``, at least 0.
    * (C2) `label` is a string; `purpose` is one of ``weight``, ``activation``, ``checkpoint``,
      ``gradient``, ``optimizer``, ``index``, ``input`` and ``output``.
    * (C3) `dtype` is one of the machine's element types; `shape` and `order` are ``array<i64>``.
    * (C4) `argument`, `result`, `mirror`, `first` and `last`, which may be left out, are ``i64``;
      so may `data`, which is a ``dense`` attribute of type ``tensor<nxi8>``.
    * (C5) It stands in ``ssft_hw.program``.

    Example::

        "ssft_hw.buffer"() {number = 0 : i64, label = "w", purpose = "weight", address = 64 : i64,
          bytes = 2 : i64, dtype = i8, shape = array<i64: 2>, order = array<i64: 0>,
          data = dense<[1, 2]> : tensor<2xi8>} : () -> ()
    """

    number: ir.IntegerAttr
    label: ir.StringAttr
    purpose: ir.StringAttr
    address: ir.IntegerAttr
    bytes: ir.IntegerAttr
    dtype: ir.TypeAttr
    shape: Any
    order: Any

    def check(self) -> None:
        """Checks C1 to C5."""
        for name in ("number", "address", "bytes"):
            integer(self.attributes, name, 0)  # buffer_c1
        string(self.attributes, "label")  # buffer_c2
        string(self.attributes, "purpose", PURPOSES)  # buffer_c2
        dtype(self.attributes, "dtype")  # buffer_c3
        for name in ("shape", "order"):
            integers(self.attributes, name)  # buffer_c3
        for name in ("argument", "result", "mirror", "first", "last"):
            optional_integer(self.attributes, name)  # buffer_c4
        data = self.attributes.get("data", None)
        require(  # buffer_c4
            data is None or isinstance(data, ir.DenseIntElementsAttr),
            f"attribute 'data' must be a dense tensor<nxi8>, but is {data}",
        )
        if data is not None:
            size = math.prod(data.type.shape)
            require(  # buffer_c4
                str(data.type) == f"tensor<{size}xi8>",
                f"attribute 'data' must be a dense tensor<nxi8>, but is a {data.type}",
            )
        parent_is(self, PROGRAM)  # buffer_c5


class SlotOp(Operation, dialect=SsftHw, name="slot"):
    """A piece of the scratchpad, for memory maps and counters.

    It holds tiles of a tensor of this `purpose`, as in ``ssft_hw.buffer``, and is live from kernel
    `first` to kernel `last`; it is cut into `buffers` parts, used in turn.

    Constraints:

    * (C1) `number`, `address`, `bytes`, `first`, `last` and `buffers` are ``i64``, `number` at
      least 0.
    * (C2) `label` is a string; `purpose` is one of those of ``ssft_hw.buffer``.
    * (C3) It stands in ``ssft_hw.program``.

    Example::

        "ssft_hw.slot"() {number = 0 : i64, label = "x", purpose = "input", address = 0 : i64,
          bytes = 256 : i64, first = 0 : i64, last = 3 : i64, buffers = 2 : i64} : () -> ()
    """

    number: ir.IntegerAttr
    label: ir.StringAttr
    purpose: ir.StringAttr
    address: ir.IntegerAttr
    bytes: ir.IntegerAttr
    first: ir.IntegerAttr
    last: ir.IntegerAttr
    buffers: ir.IntegerAttr

    def check(self) -> None:
        """Checks C1 to C3."""
        integer(self.attributes, "number", 0)  # slot_c1
        for name in ("address", "bytes", "first", "last", "buffers"):
            integer(self.attributes, name)  # slot_c1
        string(self.attributes, "label")  # slot_c2
        string(self.attributes, "purpose", PURPOSES)  # slot_c2
        parent_is(self, PROGRAM)  # slot_c3
