"""Micro-programs of the vector unit: loop nests over scratchpad operands.

No ``from __future__ import annotations`` here: the annotations of an operation's fields are its
declaration, and are evaluated when the class is made.
"""

from typing import Any

from ssft.dialects._mlir import ext, ir
from ssft.dialects.spec import Operation, require
from ssft.dialects.ssft_hw.dialect import SsftHw
from ssft.dialects.ssft_hw.fields import (
    Attributes,
    dictionaries,
    dtype,
    get,
    integer,
    integers,
    operations_in,
    parent_is,
    string,
)

_TRAITS = [ir.NoTerminatorTrait, ir.IsIsolatedFromAboveTrait]


class MicroProgramOp(Operation, dialect=SsftHw, name="micro_program", traits=_TRAITS):
    """Loop nests, executed in order, over `slots`: operands first, then temporaries.

    Constraints:

    * (C1) `number` is an ``i64``, at least 0, and `kind`, a label, is a string.
    * (C2) `slots` is an array of dictionaries with `dtype`, one of the machine's element types,
      `elements`, an ``i64``, and `access`, one of ``in``, ``out``, ``inout`` and ``temporary``.
    * (C3) It stands in ``ssft_hw.program``.
    * (C4) The region is at most one block, without arguments, and holds only ``ssft_hw.nest``.

    Example::

        "ssft_hw.micro_program"() ({
        }) {number = 0 : i64, kind = "relu", slots = [
          {dtype = f32, elements = 32 : i64, access = "in"},
          {dtype = f32, elements = 32 : i64, access = "out"}]} : () -> ()
    """

    number: ir.IntegerAttr
    kind: ir.StringAttr
    slots: ir.ArrayAttr
    nests: ext.Region

    def check(self) -> None:
        """Checks C1 to C3."""
        integer(self.attributes, "number", 0)  # micro_program_c1
        string(self.attributes, "kind")  # micro_program_c1
        for slot in dictionaries(self.attributes, "slots"):  # micro_program_c2
            dtype(slot, "dtype")  # micro_program_c2
            integer(slot, "elements")  # micro_program_c2
            string(slot, "access", ("in", "out", "inout", "temporary"))  # micro_program_c2
        parent_is(self, "ssft_hw.program")  # micro_program_c3

    def check_regions(self) -> None:
        """Checks C4."""
        operations_in(self.regions[0], {NestOp.OPERATION_NAME})  # micro_program_c4


class NestOp(Operation, dialect=SsftHw, name="nest", traits=_TRAITS):
    """A perfect loop nest: each iteration loads the inputs, runs the code, stores registers.

    Registers are numbered: inputs, then the outputs' current values, then one per micro-operation;
    `stored` are those that the outputs get. An access walks through `slot` from `offset` by
    `strides`; `initial`, of an output, is what its accumulator starts from. `reduction` says for
    each dimension whether outputs accumulate over it. `origins` are pairs (divisor, modulus): a
    dimension's first index in the whole operation is ``(origin // divisor) % modulus``.

    Constraints:

    * (C1) `extents` and `stored` are ``array<i64>``, `reduction` is an ``array<i1>``.
    * (C2) `inputs` and `outputs` are arrays of dictionaries with ``i64`` numbers `slot` and
      `offset`, an ``array<i64>`` `strides`, and perhaps a number `initial`.
    * (C3) `origins` is an array of ``array<i64>`` of two numbers each.
    * (C4) It stands in ``ssft_hw.micro_program``.
    * (C5) The region is at most one block, without arguments, and holds only ``ssft_hw.micro_op``.

    Example::

        "ssft_hw.nest"() ({
          "ssft_hw.micro_op"() {function = "constant", registers = array<i64>, dtype = f32,
            immediate = 0.0 : f64} : () -> ()
          "ssft_hw.micro_op"() {function = "maximumf", registers = array<i64: 0, 2>, dtype = f32}
            : () -> ()
        }) {extents = array<i64: 32>, reduction = array<i1: false>,
          inputs = [{slot = 0 : i64, offset = 0 : i64, strides = array<i64: 1>}],
          outputs = [{slot = 1 : i64, offset = 0 : i64, strides = array<i64: 1>}],
          stored = array<i64: 3>, origins = []} : () -> ()
    """

    extents: Any
    reduction: Any
    inputs: ir.ArrayAttr
    outputs: ir.ArrayAttr
    stored: Any
    origins: ir.ArrayAttr
    code: ext.Region

    def check(self) -> None:
        """Checks C1 to C4."""
        for name in ("extents", "stored"):
            integers(self.attributes, name)  # nest_c1
        get(self.attributes, "reduction", ir.DenseBoolArrayAttr, "an array<i1>")  # nest_c1
        for kind in ("inputs", "outputs"):
            for access in dictionaries(self.attributes, kind):  # nest_c2
                integer(access, "slot")  # nest_c2
                integer(access, "offset")  # nest_c2
                integers(access, "strides")  # nest_c2
                _number(access, "initial")  # nest_c2
        for pair in get(self.attributes, "origins", ir.ArrayAttr, "an array"):
            require(  # nest_c3
                isinstance(pair, ir.DenseI64ArrayAttr) and len(pair) == 2,
                f"attribute 'origins' holds {pair}, not an array<i64> of two numbers",
            )
        parent_is(self, MicroProgramOp.OPERATION_NAME)  # nest_c4

    def check_regions(self) -> None:
        """Checks C5."""
        operations_in(self.regions[0], {MicroOpOp.OPERATION_NAME})  # nest_c5


class MicroOpOp(Operation, dialect=SsftHw, name="micro_op"):
    """A scalar operation of a nest: the name of MLIR's operation without its dialect.

    `registers` are its operands. `immediate` is what is not a register: the number of
    ``constant``, the predicate's name of ``cmpf`` and ``cmpi``, the dimension of ``index``, the
    slot of ``extract``.

    Constraints:

    * (C1) `function` is a string, `registers` an ``array<i64>`` of numbers of at least 0.
    * (C2) `dtype` is one of the machine's element types.
    * (C3) `immediate`, which may be left out, is an ``i64``, ``ui64``, ``f64`` or a string.
    * (C4) It stands in ``ssft_hw.nest``.

    Example::

        "ssft_hw.micro_op"() {function = "cmpf", registers = array<i64: 0, 1>, dtype = i1,
          immediate = "olt"} : () -> ()
    """

    function: ir.StringAttr
    registers: Any
    dtype: ir.TypeAttr

    def check(self) -> None:
        """Checks C1 to C4."""
        string(self.attributes, "function")  # micro_op_c1
        for register in integers(self.attributes, "registers"):  # micro_op_c1
            require(register >= 0, f"attribute 'registers' holds {register}")  # micro_op_c1
        dtype(self.attributes, "dtype")  # micro_op_c2
        if not isinstance(self.attributes.get("immediate", None), ir.StringAttr):
            _number(self.attributes, "immediate")  # micro_op_c3
        parent_is(self, NestOp.OPERATION_NAME)  # micro_op_c4


def _number(attributes: Attributes, name: str) -> None:
    """Checks a number that may be left out; its type says whether it is whole."""
    if name not in attributes:
        return
    value = attributes[name]
    number = isinstance(value, ir.IntegerAttr | ir.FloatAttr)
    require(
        number and str(value.type) in ("i64", "ui64", "f64"),
        f"attribute '{name}' must be an i64, ui64 or f64, but is {value}",
    )
