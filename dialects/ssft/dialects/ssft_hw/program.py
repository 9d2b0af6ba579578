"""The program and its queues.

No ``from __future__ import annotations`` here: the annotations of an operation's fields are its
declaration, and are evaluated when the class is made.
"""

from collections import Counter

from ssft.dialects._mlir import ext, ir
from ssft.dialects.spec import Operation, require
from ssft.dialects.ssft_hw.command import CommandOp
from ssft.dialects.ssft_hw.compute import (
    AdamRowsOp,
    GemmOp,
    ScatterAddRowsOp,
    SgdRowsOp,
    VectorOp,
)
from ssft.dialects.ssft_hw.control import FenceOp, MarkOp, PostOp, WaitOp
from ssft.dialects.ssft_hw.dialect import QUEUES, SsftHw
from ssft.dialects.ssft_hw.dma import (
    GatherColumnsOp,
    GatherRowsOp,
    Load2DOp,
    ScatterColumnsOp,
    ScatterRowsOp,
    Store2DOp,
)
from ssft.dialects.ssft_hw.fields import integer, operations_in, parent_is, string
from ssft.dialects.ssft_hw.index import AccumulateScoreOp, CountRowsColumnsOp, TopKOp
from ssft.dialects.ssft_hw.micro_program import MicroProgramOp
from ssft.dialects.ssft_hw.tables import ArgumentsOp, BufferOp, ContractionOp, SlotOp, SourceOpOp

_TRAITS = [ir.NoTerminatorTrait, ir.IsIsolatedFromAboveTrait]

COMMAND_OPERATIONS: tuple[type[CommandOp], ...] = (
    Load2DOp,
    Store2DOp,
    GatherRowsOp,
    ScatterRowsOp,
    GatherColumnsOp,
    ScatterColumnsOp,
    GemmOp,
    VectorOp,
    ScatterAddRowsOp,
    AdamRowsOp,
    SgdRowsOp,
    AccumulateScoreOp,
    CountRowsColumnsOp,
    TopKOp,
    WaitOp,
    PostOp,
    FenceOp,
    MarkOp,
)
"""Every command, in the order of the instruction set's table."""

TABLES = (SourceOpOp, ContractionOp, MicroProgramOp, ArgumentsOp, BufferOp, SlotOp)
"""Entries of the program's tables."""


class ProgramOp(Operation, dialect=SsftHw, name="program", traits=_TRAITS):
    """A scheduled step for the accelerator: tables and five queues of commands.

    `dram_bytes` and `spm_bytes` are the extents in use; `spm_lower_bound` is the largest sum of
    bytes live at a time.

    Constraints:

    * (C1) `machine` is a string, `precision` is ``bf16`` or ``f32``.
    * (C2) `dram_bytes`, `spm_bytes` and `spm_lower_bound` are ``i64``, at least 0.
    * (C3) The region is at most one block, without arguments, and holds only ``ssft_hw.source_op``,
      ``contraction``, ``micro_program``, ``arguments``, ``buffer``, ``slot`` and ``queue``.
    * (C4) The entries of each table have the numbers 0, 1, 2, … in this order.
    * (C5) There is one queue of each unit.

    Example::

        "ssft_hw.program"() ({
          "ssft_hw.queue"() ({
          }) {unit = "dma_in"} : () -> ()
          "ssft_hw.queue"() ({
          }) {unit = "dma_out"} : () -> ()
          "ssft_hw.queue"() ({
          }) {unit = "tensor"} : () -> ()
          "ssft_hw.queue"() ({
          }) {unit = "vector"} : () -> ()
          "ssft_hw.queue"() ({
            "ssft_hw.fence"() {tag = 0 : i64} : () -> ()
          }) {unit = "index"} : () -> ()
        }) {machine = "ssft-server", precision = "bf16", dram_bytes = 0 : i64, spm_bytes = 0 : i64,
          spm_lower_bound = 0 : i64} : () -> ()
    """

    machine: ir.StringAttr
    precision: ir.StringAttr
    dram_bytes: ir.IntegerAttr
    spm_bytes: ir.IntegerAttr
    spm_lower_bound: ir.IntegerAttr
    body: ext.Region

    def check(self) -> None:
        """Checks C1 and C2."""
        string(self.attributes, "machine")  # program_c1
        string(self.attributes, "precision", ("bf16", "f32"))  # program_c1
        for name in ("dram_bytes", "spm_bytes", "spm_lower_bound"):
            integer(self.attributes, name, 0)  # program_c2

    def check_regions(self) -> None:
        """Checks C3 to C5."""
        tables = {table.OPERATION_NAME for table in TABLES}
        allowed = tables | {QueueOp.OPERATION_NAME}
        seen: Counter[str] = Counter()
        for op in operations_in(self.regions[0], allowed):  # program_c3
            name = op.operation.name
            if name in tables:
                number = op.attributes["number"].value
                require(  # program_c4
                    number == seen[name],
                    f"has '{name}' {number} where {seen[name]} is due",
                )
            else:
                name = op.attributes["unit"].value
            seen[name] += 1
        for unit in QUEUES:
            require(  # program_c5
                seen[unit] == 1, f"has {seen[unit]} queues of unit '{unit}', expected 1"
            )


class QueueOp(Operation, dialect=SsftHw, name="queue", traits=_TRAITS):
    """The commands of a unit, which executes them in order.

    Constraints:

    * (C1) `unit` is ``dma_in``, ``dma_out``, ``tensor``, ``vector`` or ``index``.
    * (C2) It stands in ``ssft_hw.program``.
    * (C3) The region is at most one block, without arguments, and holds only commands that the
      unit may execute.

    Example::

        "ssft_hw.queue"() ({
          "ssft_hw.mark"() {tag = 3 : i64} : () -> ()
        }) {unit = "index"} : () -> ()
    """

    unit: ir.StringAttr
    commands: ext.Region

    def check(self) -> None:
        """Checks C1 and C2."""
        string(self.attributes, "unit", QUEUES)  # queue_c1
        parent_is(self, ProgramOp.OPERATION_NAME)  # queue_c2

    def check_regions(self) -> None:
        """Checks C3."""
        unit = self.attributes["unit"].value
        operations_in(self.regions[0], _COMMANDS_OF[unit])  # queue_c3


_COMMANDS_OF = {
    unit: frozenset(op.OPERATION_NAME for op in COMMAND_OPERATIONS if unit in op.QUEUES)
    for unit in QUEUES
}
